import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import type { AgentGauges } from '../../src/telemetry/pool-series.ts'

function metricsOver(agents: AgentGauges[] = []): Metrics {
  return createMetrics({
    version: '9.9.9',
    source: { agents: () => agents, reported: () => [] },
    processMetrics: false,
  })
}

function facts(): AgentGauges {
  return {
    agent: 'waf',
    connections: 4,
    availableConnections: 3,
    inFlight: 7,
    waiting: 1,
    bodyBytesInFlight: 11,
    pauses: 12,
    resumes: 13,
    flowRejections: 14,
    overflows: 15,
    retired: 16,
    connectionErrors: 17,
  }
}

const CALL = {
  agent: 'waf',
  phase: 'request-headers',
  transport: 'uds',
  outcome: 'allow',
  isDenied: false,
  durationMs: 3,
  queueMs: 0,
  correlationId: 'abcdefgh-000',
} as const

test('an agent call is counted in seconds under agent, phase, transport and outcome, never under its id', async () => {
  const metrics = metricsOver()
  metrics.probe.agentCall?.(CALL)
  const text = await metrics.render()
  assert.match(
    text,
    /weir_agent_call_duration_seconds_sum\{agent="waf",phase="request-headers",transport="uds",outcome="allow"\} 0\.003/,
  )
  assert.ok(!text.includes('abcdefgh'))
})

test('every bypass is counted by reason', async () => {
  const metrics = metricsOver()
  metrics.probe.bypass?.('pii', 'response-body-chunk', 'paused')
  metrics.probe.bypass?.('pii', 'response-body-chunk', 'paused')
  assert.match(
    await metrics.render(),
    /weir_bypass_total\{agent="pii",phase="response-body-chunk",reason="paused"\} 2/,
  )
})

test('pool gauges show the state at the scrape, and agents that are gone leave no series', async () => {
  const agents = [facts()]
  const metrics = metricsOver(agents)
  assert.match(await metrics.render(), /weir_in_flight\{agent="waf"\} 7/)
  metrics.probe.agentCall?.(CALL)
  metrics.probe.breakerChanged?.('waf', 'open')
  agents.pop()
  await metrics.forget('waf')
  assert.ok(!(await metrics.render()).includes('agent="waf"'))
})

test('what happened in a pool is counted for each agent', async () => {
  const metrics = metricsOver([facts()])
  await metrics.render()
  const text = await metrics.render()
  for (const [series, value] of [
    ['weir_body_bytes_in_flight', 11],
    ['weir_agent_pauses_total', 12],
    ['weir_agent_resumes_total', 13],
    ['weir_pause_refusals_total', 14],
    ['weir_queue_overflows_total', 15],
    ['weir_connections_retired_total', 16],
    ['weir_connection_losses_total', 17],
  ] as const)
    assert.ok(text.includes(`${series}{agent="waf"} ${value}\n`), series)
})

test('a refused configuration shows as 0 and keeps the time of the last good one', async () => {
  const metrics = metricsOver()
  metrics.configReloaded(true, 5000)
  metrics.configReloaded(false, 9000)
  const text = await metrics.render()
  assert.match(text, /weir_config_last_reload_successful 0/)
  assert.match(text, /weir_config_last_reload_success_timestamp_seconds 5\n/)
})

test('every metric has the prefix, and counters end in _total', async () => {
  const text = await metricsOver().render()
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    assert.ok(name.startsWith('weir_'), name)
    if (type === 'counter') assert.ok(name.endsWith('_total'), name)
    if (type === 'histogram') assert.ok(name.endsWith('_seconds'), name)
  }
})
