import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { DurationHistogram, LATENCY_BUCKETS } from '../../src/telemetry/duration-histogram.ts'

test('a histogram of durations renders what prom-client renders of the same observations', async () => {
  const name = fc.constantFrom('waf', 'auth', 'a"b\\c\nd', '')
  const seconds = fc.oneof(fc.constantFrom(...LATENCY_BUCKETS), fc.double({ min: 0, max: 60, noNaN: true }))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(name, name, seconds), { maxLength: 60 }), async (observed) => {
      const ours = new DurationHistogram('x_seconds', 'Some time.', ['agent', 'phase'])
      const registry = new Registry()
      const theirs = new Histogram({
        name: 'x_seconds',
        help: 'Some time.',
        labelNames: ['agent', 'phase'],
        buckets: [...LATENCY_BUCKETS],
        registers: [registry],
      })
      for (const [agent, phase, value] of observed) {
        ours.series(agent, phase).observe(value)
        theirs.observe({ agent, phase }, value)
      }
      const lines = (text: string): string[] => text.trim().split('\n').sort()
      assert.deepEqual(lines(ours.render()), lines(await registry.metrics()))
    }),
    { numRuns: 50 },
  )
})

test('series of a forgotten first label are gone, the others stay, with one label or with four', () => {
  const one = new DurationHistogram('one_seconds', 'One.', ['agent'])
  const four = new DurationHistogram('four_seconds', 'Four.', ['agent', 'b', 'c', 'd'])
  for (const agent of ['waf', 'auth']) {
    one.series(agent).observe(1)
    four.series(agent, 'b', 'c', 'd').observe(1)
    four.series(agent, 'b', 'c', 'e').observe(1)
  }
  one.forget('waf')
  four.forget('waf')
  for (const text of [one.render(), four.render()]) {
    assert.ok(!text.includes('waf'))
    assert.ok(text.includes('auth'))
  }
  assert.match(four.render(), /four_seconds_count\{agent="auth",b="b",c="c",d="e"\} 1/)
})
