import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hints, NotingWaiter, startedPool } from '../support/pool-fixture.ts'

test('every counter tells what happened', async () => {
  const { pool, clock, dialer, lease, pass } = await startedPool({ connections: 2, maxWaiters: 1 })
  lease().release('replied', 5)
  lease().release('timeout', 1000)
  lease().release('bad-reply', 1)
  lease().release('cancelled', 1)
  lease().release('not-sent', 0)
  const held = lease()
  dialer.alive[0]!.reply('nobody')
  dialer.alive[0]!.flow('pause')
  const { connections, ...agent } = pool.snapshot()
  assert.equal(agent.requests, 3)
  assert.equal(agent.errors, 2)
  assert.equal(agent.timeouts, 1)
  assert.equal(agent.errorRate, 2 / 3)
  assert.equal(agent.strays, 1)
  assert.equal(agent.inFlight, 1)
  assert.equal(agent.active, 2)
  assert.equal(agent.paused, 1)
  assert.equal(agent.available, 1)
  assert.equal(agent.latencyMs, 5)
  assert.equal(connections.length, 2)
  held.release('replied', 5)
  dialer.alive[1]!.transitionTo('closed')
  await pass(0)
  assert.equal(pool.snapshot().lost, 1)
  assert.equal(pool.snapshot().connected, 3)
  clock.advance(120_000)
  assert.equal(pool.snapshot().errorRate, 0)
  assert.equal(pool.snapshot().errors, 2)
})

test('the time callers wait is measured', async () => {
  const { pool, clock, lease } = await startedPool({
    connections: 1,
    maxConcurrentPerConnection: 1,
    maxWaiters: 1,
  })
  const held = lease()
  pool.wait(new NotingWaiter())
  pool.wait(new NotingWaiter())
  clock.advance(40)
  held.release('replied', 40)
  const { queued, queueMsTotal, overflows } = pool.snapshot()
  assert.deepEqual({ queued, queueMsTotal, overflows }, { queued: 1, queueMsTotal: 40, overflows: 1 })
})

test('every gauge returns to zero after every way a lease can end', async () => {
  const outcomes = ['replied', 'timeout', 'bad-reply', 'lost', 'not-sent', 'cancelled'] as const
  for (const outcome of outcomes) {
    const { pool, lease } = await startedPool({ connections: 2 })
    const leased = Array.from({ length: 20 }, () => lease())
    for (const one of leased) one.release(outcome, 1)
    assert.equal(pool.snapshot().inFlight, 0, outcome)
  }
})

test('a refused lease counts nothing in flight', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.flow('pause')
  for (let n = 0; n < 100; n++) assert.equal(pool.lease(hints()), 'paused')
  assert.equal(pool.snapshot().inFlight, 0)
  assert.equal(pool.snapshot().requests, 0)
})

test('dial failures and ejections are counted', async () => {
  const { pool, dialer, lease, pass } = await startedPool({ connections: 2 })
  for (let n = 0; n < 3; n++) lease({ pinnedTo: dialer.alive[0]!.id }).release('timeout', 1)
  assert.equal(pool.snapshot().ejections, 1)
  assert.equal(pool.snapshot().healthy, 1)
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await pass(10)
  assert.equal(pool.snapshot().dialFailures, 1)
})

test('the agent speaks through the probe: logs, health, connections', async () => {
  const said: string[] = []
  const { dialer, pass } = await startedPool(
    { connections: 1 },
    {
      agentLog: (agent, level, message) => said.push(`${agent} ${level} ${message}`),
      connectionOpened: (agent) => said.push(`${agent} opened`),
      connectionClosed: (agent, _id, reason) => said.push(`${agent} closed: ${reason}`),
      dialFailed: (agent, endpoint, reason) => said.push(`${agent} ${endpoint} ${reason}`),
    },
  )
  const { observer } = dialer.alive[0]!
  observer.onLog({ level: 'info', message: 'hello', fields: {}, timestampMs: 0 })
  dialer.alive[0]!.health({ state: 'degraded', message: 'slow disk' })
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  assert.equal(said[0], 'waf opened')
  assert.equal(said[1], 'waf info hello')
  assert.match(said[2]!, /^waf warn connection \d+ reports degraded: slow disk$/)
  assert.equal(said[3], 'waf closed: connection reset by peer')
  assert.equal(said[4], 'waf fake:1 connection refused')
})

test('pauses, resumes and the leases that they refuse are counted', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  const [fake] = dialer.alive
  fake!.flow('pause')
  fake!.flow('pause')
  assert.equal(pool.lease(hints()), 'paused')
  assert.equal(pool.lease(hints()), 'paused')
  fake!.flow('resume')
  fake!.flow('pause', 'a')
  assert.equal(pool.lease(hints({ correlationId: 'a', pinnedTo: fake!.id })), 'paused')
  const { pauses, resumes, flowRejections } = pool.snapshot()
  assert.deepEqual({ pauses, resumes, flowRejections }, { pauses: 2, resumes: 1, flowRejections: 3 })
})

test('every lease that a pause refuses is counted, also while others wait', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.flow('pause')
  for (let n = 0; n < 3; n++) {
    assert.equal(pool.lease(hints()), 'paused')
    pool.wait(new NotingWaiter())
  }
  assert.equal(pool.snapshot().flowRejections, 3)
})

test('usable replies, connections that end under events, and bypasses by reason are counted', async () => {
  const { pool, lease } = await startedPool({ connections: 1 })
  lease().release('replied', 1)
  lease().release('replied', 1)
  lease().release('lost', 1)
  lease().release('timeout', 1)
  pool.countBypass('timeout')
  pool.countBypass('rate-limited')
  pool.countBypass('timeout')
  const { responses, connectionErrors, bypasses } = pool.snapshot()
  assert.deepEqual({ responses, connectionErrors }, { responses: 2, connectionErrors: 1 })
  assert.deepEqual(
    Object.entries(bypasses).filter(([, count]) => count > 0),
    [
      ['rate-limited', 1],
      ['timeout', 2],
    ],
  )
})

test('a snapshot tells of each connection what it carries and how it fares', async () => {
  const { pool, dialer, lease, clock } = await startedPool({ connections: 1 })
  const [fake] = dialer.alive
  lease().release('timeout', 1)
  const held = lease({ correlationId: 'a', isBody: true, bodyBytes: 70 })
  held.pin()
  fake!.health({ state: 'degraded', timeoutMultiplier: 4 })
  fake!.flow('update-capacity', undefined, 100)
  clock.advance(25)
  const { isHealthy, pins, connections } = pool.snapshot()
  assert.deepEqual({ isHealthy, pins }, { isHealthy: true, pins: 1 })
  const [one] = connections
  const { timeouts, windowBytes, bodyBytesInFlight, timeoutMultiplier, oldestUnansweredMs, score } = one!
  assert.deepEqual(
    { timeouts, windowBytes, bodyBytesInFlight, timeoutMultiplier, oldestUnansweredMs, pins: one!.pins },
    {
      timeouts: 1,
      windowBytes: 100,
      bodyBytesInFlight: 70,
      timeoutMultiplier: 4,
      oldestUnansweredMs: 25,
      pins: 1,
    },
  )
  assert.ok(score < 1)
  fake!.health({ state: 'unhealthy' })
  assert.equal(pool.snapshot().isHealthy, false)
})

test('what an agent says of its health reaches operators whole', async () => {
  const logs: string[] = []
  const { dialer } = await startedPool(
    { connections: 1 },
    { agentLog: (_agent, _level, message) => logs.push(message) },
  )
  const [fake] = dialer.alive
  fake!.health({ state: 'degraded', message: 'slow disk', disabledFeatures: ['ml', 'geo'] })
  fake!.health({ state: 'unhealthy', unhealthyReason: 'licence expired', recoverable: false })
  fake!.health({ state: 'draining', drainEtaMs: 5000 })
  assert.deepEqual(
    logs.map((line) => line.replace(/^connection \d+ reports /, '')),
    [
      'degraded, without ml geo: slow disk',
      'unhealthy for good: licence expired',
      'draining, gone in 5000 ms',
    ],
  )
})
