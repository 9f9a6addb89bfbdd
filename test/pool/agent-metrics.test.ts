import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetricsReport } from '../../src/core/agent-messages.ts'
import { AgentMetrics } from '../../src/pool/agent-metrics.ts'
import { startedPool } from '../support/pool-fixture.ts'

function report(parts: Partial<MetricsReport>): MetricsReport {
  return {
    agentId: 'claimed',
    timestampMs: 0,
    intervalMs: 1000,
    counters: [],
    gauges: [],
    histograms: [],
    ...parts,
  }
}

const counter = (
  name: string,
  value: number,
  labels: Record<string, string> = {},
): MetricsReport['counters'][0] => ({
  name,
  labels,
  value,
})

test('the last value wins per name and labels, in whatever order the labels come', () => {
  const metrics = new AgentMetrics('waf')
  metrics.take(report({ counters: [counter('hits', 1, { a: '1', b: '2' })] }), 0)
  metrics.take(report({ counters: [counter('hits', 7, { b: '2', a: '1' })] }), 1)
  const [series, ...others] = metrics.list(1)
  assert.deepEqual(series!.value, { kind: 'counter', value: 7 })
  assert.deepEqual(others, [])
})

test('an agent cannot write the series of another', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.observer.onMetrics(
    report({ agentId: 'auth', gauges: [counter('depth', 1, { agent_id: 'auth' })] }),
  )
  const [series] = pool.metrics.list(clock.now())
  assert.deepEqual(series!.labels, [['agent_id', 'waf']])
})

test('labels that would join to the same text stay apart', () => {
  const metrics = new AgentMetrics('waf')
  metrics.take(
    report({ counters: [counter('x', 1, { a: '1,b=2' }), counter('x', 2, { a: '1', b: '2' })] }),
    0,
  )
  assert.equal(metrics.size, 2)
})

test('names that an exposition format cannot carry are dropped and counted', () => {
  const metrics = new AgentMetrics('waf')
  const bad = ['', '1x', 'a b', 'x\n# HELP', 'x{y="z"}'].map((name) => counter(name, 1))
  const badLabels = ['', '1', 'a-b', '__name__', 'a"'].map((name) => counter('x', 1, { [name]: 'v' }))
  metrics.take(report({ counters: [...bad, ...badLabels, counter('x', Number.NaN)] }), 0)
  assert.equal(metrics.size, 0)
  assert.equal(metrics.dropped, 11)
})

test('one name has one kind', () => {
  const metrics = new AgentMetrics('waf')
  metrics.take(report({ counters: [counter('x', 1)], gauges: [counter('x', 2, { a: '1' })] }), 0)
  assert.equal(metrics.size, 1)
  metrics.expire(300_000)
  metrics.take(report({ gauges: [counter('x', 2)] }), 300_000)
  assert.equal(metrics.list(300_000)[0]!.value.kind, 'gauge')
})

test('series are bounded, and those that are known go on counting', () => {
  const metrics = new AgentMetrics('waf', { maxSeries: 100 })
  const many = Array.from({ length: 150 }, (_, n) => counter('x', n, { n: String(n) }))
  metrics.take(report({ counters: many }), 0)
  assert.equal(metrics.size, 100)
  assert.equal(metrics.dropped, 50)
  metrics.take(report({ counters: [counter('x', 999, { n: '5' })] }), 1)
  assert.ok(metrics.list(1).some(({ value }) => value.kind === 'counter' && value.value === 999))
})

test('a series that is not reported for five minutes is forgotten', () => {
  const metrics = new AgentMetrics('waf')
  metrics.take(report({ counters: [counter('old', 1), counter('live', 1)] }), 0)
  metrics.take(report({ counters: [counter('live', 2)] }), 200_000)
  assert.deepEqual(
    metrics.list(300_000).map(({ name }) => name),
    ['live'],
  )
})

test('large counters keep their last digit', () => {
  const metrics = new AgentMetrics('waf')
  metrics.take(report({ counters: [counter('bytes', Number.MAX_SAFE_INTEGER)] }), 0)
  assert.deepEqual(metrics.list(0)[0]!.value, { kind: 'counter', value: 9_007_199_254_740_991 })
})
