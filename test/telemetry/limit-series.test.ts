import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LimiterStats } from '../../src/proxy/limits/limiter-stats.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { makeLimiter, request, rule } from '../limits/support.ts'
import { FakeClock } from '../support/fake-clock.ts'

function render(limits: () => LimiterStats | undefined): Promise<string> {
  const source = { agents: () => [], reported: () => [], limits }
  return createMetrics({ version: '1', source, processMetrics: false }).render()
}

test('what the limiter counts is shown at each scrape, denials by reason', async () => {
  const clock = new FakeClock()
  const limiter = makeLimiter({ clock, rules: [rule(1, 2)] })
  await limiter.bans.ban({ agent: 'bad', reason: '', author: 'test' })
  for (let events = 0; events < 3; events++) await limiter.check(request({ agent: 'waf' }))
  await limiter.check(request({ agent: 'bad' }))
  await limiter.checkpoint()
  clock.advance(1500)
  const text = await render(() => limiter.stats)
  for (const line of [
    'weir_limit_buckets 1',
    'weir_limit_cache_hits_total 2',
    'weir_limit_cache_misses_total 1',
    'weir_limit_cache_evictions_total 0',
    'weir_limit_denials_total{reason="rate-limited"} 1',
    'weir_limit_denials_total{reason="banned"} 1',
    'weir_limit_denials_total{reason="shadow"} 0',
    'weir_limit_agent_denials_total{agent="waf",limit="events",mode="enforced"} 1',
    'weir_limit_agent_denials_total{agent="waf",limit="events",mode="shadow"} 0',
    'weir_limit_checkpoint_age_seconds 1.5',
    'weir_limit_store_failing 0',
    'weir_bans 1',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\nis not in\n${text}`)
})

test('the limiter is asked once per scrape, and anew by the next one', async () => {
  const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(1, 2)] })
  let asked = 0
  const metrics = createMetrics({
    version: '1',
    source: {
      agents: () => [],
      reported: () => [],
      limits() {
        asked++
        return limiter.stats
      },
    },
    processMetrics: false,
  })
  await metrics.render()
  assert.equal(asked, 1)
  await limiter.check(request())
  assert.match(await metrics.render(), /^weir_limit_buckets 1$/m)
  assert.equal(asked, 2)
})

test('a figure that is not known is absent, not 0', async () => {
  const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(1, 2)] })
  assert.doesNotMatch(await render(() => limiter.stats), /^weir_limit_(store_rows|checkpoint_age_seconds) /m)
  assert.doesNotMatch(await render(() => undefined), /^weir_limit_denials_total\{/m)
})
