import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WeirError } from '../../src/core/errors.ts'
import { settled } from '../support/fake-connection.ts'
import { hints, NotingWaiter, startedPool } from '../support/pool-fixture.ts'

test('a draining pool leases nothing from the turn it was told', async () => {
  const { pool, clock, lease } = await startedPool()
  const held = lease()
  void pool.drain(clock.now() + 1000)
  assert.equal(pool.lease(hints()), 'draining')
  held.release('replied', 1)
})

test('a drain waits for what is in flight, then closes every connection', async () => {
  const { pool, clock, dialer, lease } = await startedPool({ connections: 3 })
  const held = lease()
  let isDone = false
  const drained = pool.drain(clock.now() + 1000).then(() => {
    isDone = true
  })
  await settled()
  assert.equal(isDone, false)
  assert.equal(dialer.alive.length, 1)
  held.release('replied', 1)
  await drained
  assert.equal(dialer.alive.length, 0)
})

test('a drain waits for requests that are pinned between two events, and serves them', async () => {
  const { pool, clock, dialer, lease } = await startedPool({ connections: 3 })
  const held = lease()
  held.pin()
  held.release('replied', 1)
  let isDone = false
  const drained = pool.drain(clock.now() + 1000).then(() => {
    isDone = true
  })
  await settled()
  assert.equal(isDone, false)
  assert.equal(dialer.alive.length, 1)
  const again = pool.lease(hints({ pinnedTo: held.id }))
  assert.ok(typeof again !== 'string', 'the rest of the request is served')
  again.release('replied', 1)
  await settled()
  assert.equal(isDone, false)
  held.unpin('c')
  await drained
  assert.equal(dialer.alive.length, 0)
})

test('a pin does not hold up a drain beyond its deadline', async () => {
  const { pool, clock, dialer, lease } = await startedPool()
  const held = lease()
  held.pin()
  held.release('replied', 1)
  const drained = pool.drain(clock.now() + 1000)
  clock.advance(1000)
  await drained
  assert.equal(dialer.alive.length, 0)
})

test('a drain asked for twice is the same drain', async () => {
  const { pool, clock } = await startedPool()
  assert.equal(pool.drain(clock.now() + 1000), pool.drain(clock.now() + 5000))
})

test('at the deadline a drain destroys what is left and its events fail as draining', async () => {
  const { pool, clock, lease, fake } = await startedPool({ connections: 2 })
  const held = lease()
  const lost: WeirError[] = []
  fake(held).send(
    { kind: 'response-headers', correlationId: 'c', status: 200, headers: [] },
    {
      correlationId: 'c',
      nextSameId: null,
      onReply: () => assert.fail('nobody replied'),
      onLost: (error) => {
        lost.push(error)
        held.release('lost', 1)
      },
    },
  )
  const drained = pool.drain(clock.now() + 1000)
  clock.advance(999)
  assert.deepEqual(lost, [])
  clock.advance(1)
  await drained
  assert.deepEqual(
    lost.map(({ code }) => code),
    ['DRAINING'],
  )
  assert.equal(held.inFlight, 0)
})

test('a drain ends at its deadline although a peer never lets its connection close', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 2 })
  for (const connection of dialer.alive) connection.closes = false
  const drained = pool.drain(clock.now() + 1000)
  clock.advance(1000)
  await drained
  assert.equal(dialer.alive.length, 0)
})

test('a drain refuses those who wait, and later callers', async () => {
  const { pool, clock, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const held = lease()
  const waiter = new NotingWaiter()
  pool.wait(waiter)
  void pool.drain(clock.now() + 1000)
  assert.equal(waiter.refused?.code, 'DRAINING')
  assert.equal(pool.wait(new NotingWaiter())?.code, 'DRAINING')
  held.release('replied', 1)
})

test('while it drains a connection still serves the requests that are bound to it', async () => {
  const { pool, clock, lease } = await startedPool({ connections: 1 })
  const held = lease()
  void pool.drain(clock.now() + 1000)
  const pinned = lease({ pinnedTo: held.id })
  pinned.release('replied', 1)
  held.release('replied', 1)
  assert.equal(pool.lease(hints({ pinnedTo: held.id })), 'affinity-lost')
})

test('a drained pool dials no more and leaves no timer', async () => {
  const { pool, clock, dialer } = await startedPool()
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await settled()
  const attempts = dialer.attempts
  await pool.drain(clock.now() + 1000)
  clock.advance(600_000)
  await settled()
  assert.equal(dialer.attempts, attempts)
  assert.equal(clock.timers, 0)
})

test('a dial that ends after the drain began leaves no connection behind', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 1 })
  dialer.answer = 'hang'
  dialer.alive[0]!.transitionTo('closed')
  await settled()
  const [stuck] = dialer.waiting
  await pool.drain(clock.now() + 1000)
  const late = stuck!.succeed()
  await settled()
  assert.equal(late.isClosed, true)
})

test('callers bound to a connection wait through a drain and are served', async () => {
  const { pool, clock, dialer, lease } = await startedPool({ connections: 1 })
  const { id } = dialer.alive[0]!
  dialer.alive[0]!.flow('update-capacity', undefined, 10)
  const first = { correlationId: 'a', isBody: true, bodyBytes: 10, pinnedTo: id }
  const held = lease(first)
  held.pin()
  const before = new NotingWaiter({ ...first, bodyBytes: 5 })
  pool.wait(before)
  let isDone = false
  const drained = pool.drain(clock.now() + 1000).then(() => {
    isDone = true
  })
  const after = new NotingWaiter({ ...first, bodyBytes: 5 })
  assert.equal(pool.lease(hints(first)), 'full')
  assert.equal(pool.wait(after), undefined)
  assert.deepEqual([before.calls, after.calls], [0, 0])
  held.release('replied', 1, hints(first))
  for (const waiter of [before, after]) waiter.leased!.release('replied', 1, waiter)
  await settled()
  assert.equal(isDone, false)
  held.unpin('a')
  await drained
})

test('callers bound to a connection wait at most until the deadline of a drain', async () => {
  const { pool, clock, dialer, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  lease().pin()
  const bound = new NotingWaiter({ pinnedTo: dialer.alive[0]!.id })
  pool.wait(bound)
  const drained = pool.drain(clock.now() + 1000)
  clock.advance(999)
  assert.equal(bound.calls, 0)
  clock.advance(1)
  await drained
  assert.equal(bound.refused?.sent, false)
  assert.equal(bound.calls, 1)
})
