import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type PoolFixture, startedPool } from '../support/pool-fixture.ts'

async function seconds(fixture: PoolFixture, count: number, each?: () => void): Promise<void> {
  for (let second = 0; second < count; second++) {
    await fixture.pass(1000)
    each?.()
    if (fixture.pool.visitAt <= fixture.clock.now()) fixture.pool.visit(fixture.clock.now())
    await fixture.pass(0)
  }
}

test('an idle connection is pinged at every interval', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 10_000 })
  await seconds(fixture, 35)
  assert.equal(fixture.dialer.alive[0]!.pings, 3)
})

test('a connection that answers events is never pinged', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 10_000 })
  await seconds(fixture, 60, () => fixture.lease().release('replied', 1))
  assert.equal(fixture.dialer.alive[0]!.pings, 0)
})

test('a half-open socket is found without traffic: two missed pings end the connection', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 10_000 })
  const [silent] = fixture.dialer.alive
  silent!.answersPings = false
  await seconds(fixture, 11)
  assert.equal(silent!.isClosed, false)
  await seconds(fixture, 10)
  assert.equal(silent!.isClosed, true)
  assert.equal(fixture.dialer.alive.length, 1)
})

test('one missed ping is forgiven by the next pong', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 10_000 })
  const [connection] = fixture.dialer.alive
  for (let round = 0; round < 5; round++) {
    connection!.answersPings = false
    await seconds(fixture, 10)
    connection!.answersPings = true
    await seconds(fixture, 10)
  }
  assert.equal(connection!.isClosed, false)
})

test('legacy connections, which have no ping, are not pinged', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 10_000 })
  fixture.dialer.options = { transport: 'v1', isExclusive: true }
  fixture.dialer.alive[0]!.transitionTo('closed')
  await seconds(fixture, 60)
  assert.equal(fixture.dialer.alive[0]!.pings, 0)
})

test('a connection that holds events and answers none is put out of use', async () => {
  const fixture = await startedPool({ connections: 2, heartbeatMs: 10_000, health: { stallMs: 10_000 } })
  const stalled = fixture.lease()
  await seconds(fixture, 25)
  assert.equal(fixture.pool.snapshot().ejections, 1)
  const again = Array.from({ length: 10 }, () => fixture.lease()).filter(({ id }) => id === stalled.id)
  assert.ok(again.length <= 1, 'more than one trial event')
})
