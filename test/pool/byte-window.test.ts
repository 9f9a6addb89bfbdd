import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LeaseHints } from '../../src/pool/lease.ts'
import { hints, NotingWaiter, startedPool } from '../support/pool-fixture.ts'

function chunk(correlationId: string, bodyBytes: number, pinnedTo = 0): LeaseHints {
  return hints({ correlationId, bodyBytes, pinnedTo, isBody: true })
}

test('a connection whose byte window is used up gets no more of bodies, and other events still', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const { id } = dialer.alive[0]!
  dialer.alive[0]!.flow('update-capacity', undefined, 100)
  const first = chunk('a', 100, id)
  const leased = lease(first)
  assert.equal(pool.lease(chunk('b', 1, id)), 'full')
  assert.equal(lease({ correlationId: 'b', pinnedTo: id, isBody: false }).id, id)
  assert.equal(lease({ correlationId: 'c' }).id, id)
  leased.release('replied', 1, first)
  assert.equal(lease(chunk('b', 1, id)).id, id)
})

test('a chunk that no request binds goes to a connection with room in its window', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 3 })
  const [small, large, closed] = dialer.alive
  small!.flow('update-capacity', undefined, 50)
  large!.flow('update-capacity', undefined, 400)
  closed!.flow('update-capacity', undefined, 0)
  const counts = new Map<number, number>()
  for (let n = 0; n < 5; n++) {
    const { id } = lease(chunk(`c${n}`, 100))
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  assert.deepEqual(
    [small, large, closed].map((one) => counts.get(one!.id) ?? 0),
    [1, 4, 0],
  )
  assert.equal(pool.lease(chunk('late', 1)), 'full')
  assert.notEqual(typeof pool.lease(hints()), 'string')
})

test('when every window is 0 bodies are paused, which the agent has to end', async () => {
  const { pool, dialer } = await startedPool({ connections: 2 })
  for (const one of dialer.alive) one.flow('update-capacity', undefined, 0)
  assert.equal(pool.lease(chunk('a', 1)), 'paused')
  assert.equal(pool.lease(chunk('a', 1, dialer.alive[0]!.id)), 'paused')
})

test('a session whose connection has no room for a chunk lends it out and stays where it is', async () => {
  const { dialer, lease } = await startedPool({ connections: 2 })
  const home = lease({ sessionKey: 's' }).id
  const fake = dialer.alive.find(({ id }) => id === home)!
  fake.flow('update-capacity', undefined, 0)
  assert.notEqual(lease({ ...chunk('a', 1), sessionKey: 's' }).id, home)
  assert.equal(lease({ sessionKey: 's' }).id, home)
})

test('a chunk that waits for the byte window goes when a reply or the agent makes room', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const [fake] = dialer.alive
  fake!.flow('update-capacity', undefined, 100)
  const first = chunk('a', 100, fake!.id)
  const leased = lease(first)
  const waiters = ['b', 'c'].map((id) => new NotingWaiter(chunk(id, 100, fake!.id)))
  for (const waiter of waiters) assert.equal(pool.wait(waiter), undefined)
  assert.deepEqual(
    waiters.map(({ calls }) => calls),
    [0, 0],
  )
  leased.release('replied', 1, first)
  assert.deepEqual(
    waiters.map(({ calls }) => calls),
    [1, 0],
  )
  fake!.flow('update-capacity', undefined, 300)
  assert.deepEqual(
    waiters.map(({ calls }) => calls),
    [1, 1],
  )
})

test('a chunk that waits for the byte window does not hold up other events of its connection', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 2 })
  const [fake] = dialer.alive
  fake!.flow('update-capacity', undefined, 100)
  const first = chunk('a', 100, fake!.id)
  lease(first)
  const headers = lease({ pinnedTo: fake!.id, isBody: false })
  const body = new NotingWaiter(chunk('b', 100, fake!.id))
  const other = new NotingWaiter({ correlationId: 'c', pinnedTo: fake!.id, isBody: false })
  pool.wait(body)
  pool.wait(other)
  headers.release('replied', 1)
  assert.deepEqual([body.calls, other.calls], [0, 1])
})

test('a window of one request holds back its body alone, until the request ends', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const [fake] = dialer.alive
  fake!.flow('update-capacity', 'a', 100)
  const first = chunk('a', 100, fake!.id)
  const leased = lease(first)
  leased.pin()
  assert.equal(pool.lease(chunk('a', 1, fake!.id)), 'full')
  lease(chunk('b', 1000, fake!.id))
  leased.unpin('a')
  lease(chunk('a', 1, fake!.id))
  leased.release('replied', 1, first)
  assert.equal(pool.snapshot().connections[0]!.bodyBytesInFlight, 1001)
})

test('a chunk that waits for a byte window holds up nobody but the chunks behind it', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 2 })
  for (const one of dialer.alive) one.flow('update-capacity', undefined, 10)
  const full = dialer.alive.map(({ id }) => chunk(`x${id}`, 10, id))
  const leased = full.map((one) => lease(one))
  const bodies = ['a', 'b'].map((id) => new NotingWaiter(chunk(id, 10)))
  for (const waiter of bodies) {
    assert.equal(pool.lease(waiter), 'full')
    pool.wait(waiter)
  }
  assert.notEqual(typeof pool.lease(hints({ correlationId: 'h', isBody: false })), 'string')
  leased[0]!.release('replied', 1, full[0])
  assert.deepEqual(
    bodies.map(({ calls }) => calls),
    [1, 0],
  )
  leased[1]!.release('replied', 1, full[1])
  assert.equal(bodies[1]!.leased?.id, leased[1]!.id)
})

test('a chunk that finds the windows used up once it is its turn lets those behind it go', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 2 })
  const [fake] = dialer.alive
  fake!.flow('update-capacity', undefined, 10)
  const first = chunk('x', 10, fake!.id)
  const body = lease(first)
  const other = lease()
  const waiting = new NotingWaiter(chunk('a', 1))
  const headers = new NotingWaiter({ correlationId: 'h', isBody: false })
  for (const waiter of [waiting, headers]) pool.wait(waiter)
  other.release('replied', 1)
  assert.deepEqual([waiting.calls, headers.calls], [0, 1])
  headers.leased!.release('replied', 1)
  body.release('replied', 1, first)
  assert.equal(waiting.calls, 1)
})

test('chunks from before the agent spoke of their request make no room in its window when they are answered', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const [fake] = dialer.alive
  const [early, late] = [chunk('a', 100, fake!.id), chunk('a', 100, fake!.id)]
  const leased = lease(early)
  fake!.flow('update-capacity', 'a', 100)
  lease(late)
  assert.equal(pool.lease(chunk('a', 1, fake!.id)), 'full')
  leased.release('replied', 1, early)
  assert.equal(pool.lease(chunk('a', 1, fake!.id)), 'full')
  leased.release('replied', 1, late)
  lease(chunk('a', 1, fake!.id))
})
