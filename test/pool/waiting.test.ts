import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settled } from '../support/fake-connection.ts'
import { hints, NotingWaiter, startedPool } from '../support/pool-fixture.ts'

test('waiters are served in the order they came', async () => {
  const { pool, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const order: string[] = []
  const held = lease()
  for (const name of ['a', 'b', 'c'])
    pool.wait(
      new NotingWaiter({ correlationId: name }, (waiter) => {
        order.push(name)
        waiter.leased!.release('replied', 1)
      }),
    )
  assert.deepEqual(order, [])
  held.release('replied', 1)
  assert.deepEqual(order, ['a', 'b', 'c'])
})

test('the queue is bounded: one caller too many is refused as overloaded, with nothing sent', async () => {
  const { pool, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1, maxWaiters: 2 })
  lease()
  assert.equal(pool.wait(new NotingWaiter()), undefined)
  assert.equal(pool.wait(new NotingWaiter()), undefined)
  const refused = pool.wait(new NotingWaiter())
  assert.equal(refused?.code, 'OVERLOADED')
  assert.equal(refused?.sent, false)
})

test('a withdrawn waiter is never called and frees its place', async () => {
  const { pool, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1, maxWaiters: 1 })
  const held = lease()
  const gone = new NotingWaiter()
  pool.wait(gone)
  pool.withdraw(gone)
  pool.withdraw(gone)
  const next = new NotingWaiter()
  assert.equal(pool.wait(next), undefined)
  held.release('replied', 1)
  assert.equal(gone.calls, 0)
  assert.equal(next.calls, 1)
})

test('nobody overtakes a waiter, not even from within a callback', async () => {
  const { pool, dialer, lease, pass } = await startedPool({ connections: 1, maxConcurrentPerConnection: 2 })
  lease()
  lease()
  const first = new NotingWaiter({}, () => assert.equal(pool.lease(hints()), 'full'))
  const second = new NotingWaiter()
  pool.wait(first)
  pool.wait(second)
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  assert.equal(first.calls, 1)
  assert.equal(second.calls, 1)
})

test('the resume itself wakes those who wait on a paused agent', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 2 })
  for (const connection of dialer.alive) connection.flow('pause')
  const waiters = [new NotingWaiter(), new NotingWaiter()]
  const timers = clock.timers
  for (const waiter of waiters) assert.equal(pool.wait(waiter), undefined)
  assert.equal(clock.timers, timers)
  dialer.alive[1]!.flow('resume')
  for (const waiter of waiters) assert.equal(waiter.leased?.id, dialer.alive[1]!.id)
})

test('the resume of one request wakes its waiting body and leaves others waiting', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  const [connection] = dialer.alive
  const pinnedTo = connection!.id
  connection!.flow('pause', 'one')
  connection!.flow('pause', 'two')
  const one = new NotingWaiter({ correlationId: 'one', pinnedTo, isBody: true })
  const two = new NotingWaiter({ correlationId: 'two', pinnedTo, isBody: true })
  pool.wait(one)
  pool.wait(two)
  connection!.flow('resume', 'two')
  assert.equal(one.calls, 0)
  assert.equal(two.calls, 1)
})

test('a waiter bound to one connection does not hold up those whom others can serve', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 2, maxConcurrentPerConnection: 1 })
  const [first, second] = [lease(), lease()]
  const bound = new NotingWaiter({ pinnedTo: first.id })
  const free = new NotingWaiter()
  pool.wait(bound)
  pool.wait(free)
  second.release('replied', 1)
  assert.equal(free.leased?.id, second.id)
  assert.equal(bound.calls, 0)
  first.release('replied', 1)
  assert.equal(bound.leased?.id, first.id)
  assert.equal(dialer.alive.length, 2)
})

test('a waiter bound to a connection that dies is refused as affinity lost', async () => {
  const { pool, lease, fake } = await startedPool({ connections: 2, maxConcurrentPerConnection: 1 })
  const held = lease()
  const bound = new NotingWaiter({ pinnedTo: held.id })
  pool.wait(bound)
  fake(held).transitionTo('closed')
  assert.equal(bound.refused?.code, 'AFFINITY_LOST')
  assert.equal(bound.refused?.sent, false)
  assert.equal(bound.calls, 1)
})

test('waiters outlive the loss of every connection and get the next one', async () => {
  const { pool, dialer, lease, pass } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  lease()
  const waiter = new NotingWaiter()
  pool.wait(waiter)
  dialer.alive[0]!.transitionTo('closed')
  assert.equal(waiter.calls, 0)
  await pass(0)
  assert.equal(waiter.leased?.id, dialer.alive[0]!.id)
})

test('a socket that drains wakes those who waited for it', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.transitionTo('unwritable')
  const waiter = new NotingWaiter()
  pool.wait(waiter)
  dialer.alive[0]!.transitionTo('writable')
  assert.equal(waiter.calls, 1)
})

test('an agent that declares itself healthy again wakes those who waited', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.health({ state: 'unhealthy' })
  const waiter = new NotingWaiter()
  pool.wait(waiter)
  dialer.alive[0]!.health({ state: 'healthy' })
  assert.equal(waiter.calls, 1)
})

test('an opening breaker refuses those who wait', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const leased = Array.from({ length: 5 }, () => lease())
  dialer.alive[0]!.flow('pause')
  const free = new NotingWaiter()
  const bound = new NotingWaiter({ pinnedTo: dialer.alive[0]!.id })
  pool.wait(free)
  pool.wait(bound)
  for (const one of leased) one.release('timeout', 0)
  assert.equal(free.refused?.code, 'UNAVAILABLE')
  assert.equal(bound.refused?.code, 'UNAVAILABLE')
})

test('a callback that leases, releases and waits again does not disturb the queue', async () => {
  const { pool, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const held = lease()
  let turns = 0
  const again = (waiter: NotingWaiter): void => {
    turns++
    if (turns < 1000) pool.wait(new NotingWaiter({}, again))
    waiter.leased!.release('replied', 1)
  }
  pool.wait(new NotingWaiter({}, again))
  held.release('replied', 1)
  assert.equal(turns, 1000)
  assert.equal(held.inFlight, 0)
})

test('a caller that waits although it could be served meanwhile is not forgotten', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.flow('pause')
  assert.equal(pool.lease(hints()), 'paused')
  dialer.alive[0]!.flow('resume')
  const [free, bound] = [new NotingWaiter(), new NotingWaiter({ pinnedTo: dialer.alive[0]!.id })]
  pool.wait(free)
  pool.wait(bound)
  await settled()
  assert.equal(free.calls, 1)
  assert.equal(bound.calls, 1)
})
