import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyToAgent } from '../../src/wire/grpc/service.ts'
import { agentHears, withoutUndefined, written } from './support/codecs.ts'
import { frame, fromAgent, fromProxy, GRPC_PAIR, JSON_PAIR, message } from './support/frames.ts'

test('health is read as a number, a name and a tagged object, and written as a number', () => {
  const at = { agent_id: 'a', timestamp_ms: 1 }
  for (const state of [2, 'degraded', { status: 'degraded' }]) {
    const told = fromAgent(0x30, { ...at, state })
    assert.deepEqual(withoutUndefined(told), ['health', { agentId: 'a', state: 'degraded', timestampMs: 1 }])
  }
  const tagged = fromAgent(0x30, { ...at, state: { status: 'draining', eta_ms: 500 } })
  assert.deepEqual(withoutUndefined(tagged[1]), {
    agentId: 'a',
    state: 'draining',
    timestampMs: 1,
    drainEtaMs: 500,
  })
  const bytes = written((out) =>
    JSON_PAIR.agent().writeHealth({ agentId: 'a', state: 'unhealthy', timestampMs: 1 }, out),
  )
  assert.equal((JSON.parse(bytes.toString('utf8', 5)) as { state: unknown }).state, 4)
  for (const state of [0, 5, 'fine', null, undefined])
    assert.equal(fromAgent(0x30, { ...at, state })[0], 'malformed-control')
})

test('flow is read as a number and as a tagged object; a missing or unknown action is an error, not a resume', () => {
  assert.deepEqual(withoutUndefined(fromAgent(0x33, { action: 1, timestamp_ms: 1 })), [
    'flow',
    { action: 'pause', timestampMs: 1 },
  ])
  assert.deepEqual(
    withoutUndefined(
      fromAgent(0x33, {
        correlation_id: 'c1',
        action: { type: 'update_capacity', buffer_available: 9 },
        timestamp_ms: 1,
      }),
    ),
    ['flow', { correlationId: 'c1', action: 'update-capacity', bufferAvailable: 9, timestampMs: 1 }],
  )
  for (const action of [0, 4, undefined, null, 'stop', { type: 'stop' }]) {
    assert.equal(fromAgent(0x33, { action, timestamp_ms: 1 })[0], 'malformed-control')
  }
})

test('cancels count from 0 on frames and from 1 on gRPC, and the tagged form is read', () => {
  assert.deepEqual(fromProxy(0x40, { correlation_id: 'c1', reason: 4, timestamp_ms: 1 }), [
    'cancel',
    'c1',
    'proxy-shutdown',
  ])
  assert.deepEqual(fromProxy(0x40, { correlation_id: 'c1', reason: { type: 'blocked_by_agent' } }), [
    'cancel',
    'c1',
    'blocked-by-agent',
  ])
  assert.deepEqual(
    agentHears(
      GRPC_PAIR.agent(),
      message(ProxyToAgent.encode({ cancel: { correlation_id: 'c1', reason: 4 } })),
    ),
    [['cancel', 'c1', 'upstream-error']],
  )
  assert.deepEqual(agentHears(JSON_PAIR.agent(), frame(0x40, '{"reason":0}')), [])
})

test('metrics carry infinity as "+Inf", and help may be absent or null', () => {
  const report = {
    agent_id: 'a',
    timestamp_ms: 1,
    interval_ms: 2,
    counters: [{ name: 'n', help: null, labels: {}, value: 3 }],
    histograms: [
      {
        name: 'h',
        sum: 1.5,
        count: 2,
        buckets: [
          { le: 0.5, count: 1 },
          { le: '+Inf', count: 2 },
          { le: 'Inf', count: 2 },
        ],
      },
    ],
  }
  const told = fromAgent(0x31, report)
  const infinite = { le: Number.POSITIVE_INFINITY, count: 2 }
  assert.deepEqual(withoutUndefined(told[1]), {
    agentId: 'a',
    timestampMs: 1,
    intervalMs: 2,
    counters: [{ name: 'n', labels: {}, value: 3 }],
    gauges: [],
    histograms: [
      { name: 'h', labels: {}, sum: 1.5, count: 2, buckets: [{ le: 0.5, count: 1 }, infinite, infinite] },
    ],
  })
  const bytes = written((out) =>
    JSON_PAIR.agent().writeMetrics(
      {
        agentId: 'a',
        timestampMs: 1,
        intervalMs: 1,
        counters: [],
        gauges: [],
        histograms: [{ name: 'h', labels: {}, sum: 1, count: 1, buckets: [infinite] }],
      },
      out,
    ),
  )
  assert.ok(bytes.includes('"le":"+Inf"'))
})
