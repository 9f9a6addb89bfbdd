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
