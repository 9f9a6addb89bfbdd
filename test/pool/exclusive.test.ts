import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { ExclusivePool } from '../../src/pool/exclusive-pool.ts'
import { makePool } from '../../src/pool/make-pool.ts'
import { type PoolOptions, poolSettings } from '../../src/pool/pool-options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeDialer } from '../support/fake-connection.ts'
import { hints, NotingWaiter } from '../support/pool-fixture.ts'

/** generic-pool hands over through several promises. */
async function handedOver(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function exclusivePool(options: PoolOptions = {}): Promise<{
  pool: ExclusivePool
  clock: FakeClock
  dialer: FakeDialer
  pass: (ms: number) => Promise<void>
  waiting: (pinnedTo?: number) => NotingWaiter
}> {
  const clock = new FakeClock()
  const dialer = new FakeDialer('unix:legacy', { transport: 'v1', isExclusive: true })
  const pool = new ExclusivePool({
    agent: 'legacy',
    settings: poolSettings({ connections: 2, slowStartMs: 0, ...options }),
    around: { clock, random: seededRandom(1), probe: {} },
    nextDialer: () => dialer,
  })
  pool.start()
  await handedOver()
  return {
    pool,
    clock,
    dialer,
    pass: async (ms) => {
      clock.advance(ms)
      await handedOver()
    },
    waiting: (pinnedTo = 0) => {
      const waiter = new NotingWaiter({ pinnedTo })
      assert.equal(pool.wait(waiter), undefined)
      return waiter
    },
  }
}

test('an exclusive agent answers full, and the caller that waits is lent a connection', async () => {
  const { pool, waiting } = await exclusivePool()
  assert.equal(pool.lease(hints()), 'full')
  const waiter = waiting()
  await handedOver()
  assert.equal(waiter.leased?.inFlight, 1)
})

test('a connection is lent to one caller at a time, in the order they came', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 2 })
  const waiters = Array.from({ length: 5 }, () => waiting())
  await handedOver()
  assert.deepEqual(
    waiters.map(({ calls }) => calls),
    [1, 1, 0, 0, 0],
  )
  assert.notEqual(waiters[0]!.leased!.id, waiters[1]!.leased!.id)
  assert.equal(pool.snapshot().waiting, 3)
  waiters[1]!.leased!.release('replied', 1)
  await handedOver()
  assert.deepEqual(
    waiters.map(({ calls }) => calls),
    [1, 1, 1, 0, 0],
  )
  assert.equal(waiters[2]!.leased!.id, waiters[1]!.leased!.id)
})

test('a down agent is dialled with backoff, however many callers wait', async () => {
  const { dialer, pass, waiting } = await exclusivePool({
    connections: 1,
    reconnect: { initialMs: 100, maxMs: 10_000 },
  })
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await handedOver()
  const waiters = Array.from({ length: 50 }, () => waiting())
  for (let n = 0; n < 60; n++) await pass(1000)
  assert.ok(dialer.attempts < 30, `${dialer.attempts} dials in a minute`)
  dialer.answer = 'succeed'
  for (let n = 0; n < 10; n++) await pass(1000)
  assert.equal(waiters[0]!.calls, 1)
})

test('a connection that dies while nobody has it is not lent', async () => {
  const { dialer, waiting } = await exclusivePool({ connections: 2 })
  for (const waiter of [waiting(), waiting()]) {
    await handedOver()
    waiter.leased!.release('replied', 1)
  }
  await handedOver()
  const dead = [...dialer.alive]
  for (const connection of dead) connection.transitionTo('closed')
  const waiter = waiting()
  await handedOver()
  assert.ok(dead.every(({ id }) => id !== waiter.leased!.id))
})

test('a connection that dies in the hands of a caller is replaced for the next', async () => {
  const { dialer, waiting } = await exclusivePool({ connections: 1 })
  const [first, second] = [waiting(), waiting()]
  await handedOver()
  dialer.alive[0]!.transitionTo('closed')
  first.leased!.release('lost', 1)
  await handedOver()
  assert.equal(second.leased?.id, dialer.alive[0]!.id)
})

test('a request that is bound to a connection gets that one, before callers without a bond', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 2 })
  const [first, second] = [waiting(), waiting()]
  await handedOver()
  const free = waiting()
  const pinnedTo = first.leased!.id
  assert.equal(pool.lease(hints({ pinnedTo })), 'full')
  const bound = waiting(pinnedTo)
  first.leased!.release('replied', 1)
  await handedOver()
  assert.equal(bound.leased?.id, pinnedTo)
  assert.equal(free.calls, 0)
  bound.leased!.release('replied', 1)
  await handedOver()
  assert.equal(free.leased?.id, pinnedTo)
  second.leased!.release('replied', 1)
  await handedOver()
  const idle = pool.lease(hints({ pinnedTo: second.leased!.id }))
  assert.ok(typeof idle !== 'string')
  assert.equal(pool.lease(hints({ pinnedTo: second.leased!.id })), 'full')
})

test('a paused connection is held back until it resumes', async () => {
  const { dialer, waiting } = await exclusivePool({ connections: 1 })
  dialer.alive[0]!.flow('pause')
  const waiter = waiting()
  await handedOver()
  assert.equal(waiter.calls, 0)
  dialer.alive[0]!.flow('resume')
  await handedOver()
  assert.equal(waiter.calls, 1)
})

test('a withdrawn caller is not called, and its connection goes to the next', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 1 })
  const [gone, next] = [waiting(), waiting()]
  pool.withdraw(gone)
  await handedOver()
  assert.equal(gone.calls, 0)
  assert.equal(next.calls, 1)
})

test('callers who give up leave no turns behind, however long the agent is busy', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 1 })
  const lent = waiting()
  await handedOver()
  for (let round = 0; round < 20; round++) {
    const impatient = Array.from({ length: 10 }, () => waiting())
    await handedOver()
    for (const waiter of impatient) pool.withdraw(waiter)
  }
  assert.equal(pool.turns, 10)
  const next = waiting()
  lent.leased!.release('replied', 1)
  await handedOver()
  assert.equal(next.calls, 1)
  next.leased!.release('replied', 1)
  await handedOver()
  assert.equal(pool.turns, 0)
})

test('connections of an agent that comes and goes while nobody calls do not pile up', async () => {
  const { pool, dialer, pass } = await exclusivePool({ connections: 2 })
  for (let round = 0; round < 50; round++) {
    for (const connection of dialer.alive) connection.transitionTo('closed')
    await pass(60_000)
  }
  assert.ok(dialer.attempts > 50)
  assert.ok(pool.spare <= 2, `${pool.spare} are kept`)
})

test('the queue of an exclusive agent is bounded', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 1, maxWaiters: 2 })
  waiting()
  waiting()
  assert.equal(pool.wait(new NotingWaiter())?.code, 'OVERLOADED')
})

test('an open breaker refuses those who wait for an exclusive connection', async () => {
  const { pool, waiting } = await exclusivePool({ connections: 1 })
  for (let n = 0; n < 5; n++) {
    const waiter = waiting()
    await handedOver()
    waiter.leased!.release('timeout', 0)
  }
  const refused = waiting()
  await handedOver()
  assert.equal(refused.refused?.code, 'UNAVAILABLE')
  assert.equal(pool.snapshot().breaker, 'open')
})

test('a drain of an exclusive agent waits for its loans and refuses those who wait', async () => {
  const { pool, clock, dialer, waiting } = await exclusivePool({ connections: 1 })
  const [lent, refused] = [waiting(), waiting()]
  await handedOver()
  let isDone = false
  const drained = pool.drain(clock.now() + 1000).then(() => {
    isDone = true
  })
  assert.equal(refused.refused?.code, 'DRAINING')
  assert.equal(pool.wait(new NotingWaiter())?.code, 'DRAINING')
  await handedOver()
  assert.equal(isDone, false)
  lent.leased!.release('replied', 1)
  await drained
  assert.equal(dialer.alive.length, 0)
  assert.equal(pool.snapshot().inFlight, 0)
})

test('random callers of an exclusive agent each get one answer and never share a connection', async () => {
  const random = seededRandom(11)
  const { pool, clock, dialer, waiting } = await exclusivePool({ connections: 3, maxWaiters: 10_000 })
  const waiters: NotingWaiter[] = []
  const released = new Set<NotingWaiter>()
  for (let step = 0; step < 2000; step++) {
    const chance = random()
    const held = waiters.filter((waiter) => waiter.leased !== undefined && !released.has(waiter))
    assert.equal(new Set(held.map(({ leased }) => leased!.id)).size, held.length)
    const [one] = held
    if (chance < 0.4) waiters.push(waiting())
    else if (chance < 0.8 && one !== undefined) {
      released.add(one)
      one.leased!.release('replied', 1)
    } else if (chance < 0.83) dialer.alive[0]?.transitionTo('closed')
    else if (chance < 0.9) clock.advance(500)
    if (chance > 0.5) await handedOver()
  }
  for (let turn = 0; turn < 2000 && waiters.some(({ calls }) => calls === 0); turn++) {
    clock.advance(500)
    for (const waiter of waiters)
      if (waiter.leased !== undefined && !released.has(waiter)) {
        released.add(waiter)
        waiter.leased.release('replied', 1)
      }
    await handedOver()
  }
  for (const { calls } of waiters) assert.equal(calls, 1)
  assert.equal(pool.snapshot().waiting, 0)
})

test('what is known of an agent goes on when it changes to legacy framing and back', () => {
  const parts = {
    agent: 'legacy',
    settings: poolSettings(),
    around: { clock: new FakeClock(), random: seededRandom(1), probe: {} },
    nextDialer: () => new FakeDialer(),
  }
  const first = makePool({ ...parts, isExclusive: false })
  const second = makePool({ ...parts, isExclusive: true, successorOf: first })
  const third = makePool({ ...parts, isExclusive: false, successorOf: second })
  first.metrics.dropped = 7
  assert.equal(second.metrics.dropped, 7)
  assert.equal(third.metrics.dropped, 7)
  assert.ok(second instanceof ExclusivePool)
  assert.ok(third instanceof ConnectionPool)
})

test('a body chunk that was lent a connection gives it back whole', async () => {
  const { pool } = await exclusivePool({ connections: 1 })
  const waiter = new NotingWaiter({ isBody: true, bodyBytes: 100 })
  pool.wait(waiter)
  await handedOver()
  waiter.leased!.release('replied', 1, waiter)
  const [connection] = pool.snapshot().connections
  assert.equal(connection?.inFlight, 0)
  assert.equal(connection.bodyBytesInFlight, 0)
})

test('callers who found no free connection, and those whom the queue refused, are counted as elsewhere', async () => {
  const { pool, waiting, pass } = await exclusivePool({ connections: 1, maxWaiters: 2 })
  const first = waiting()
  await handedOver()
  assert.equal(pool.snapshot().queued, 0)
  const second = waiting()
  waiting()
  assert.equal(pool.wait(new NotingWaiter())?.code, 'OVERLOADED')
  await pass(40)
  first.leased!.release('replied', 40)
  await handedOver()
  await pass(10)
  second.leased!.release('replied', 10)
  await handedOver()
  const { queued, overflows, queueMsTotal } = pool.snapshot()
  assert.deepEqual({ queued, overflows, queueMsTotal }, { queued: 2, overflows: 1, queueMsTotal: 90 })
})

test('a caller whose connection was not ready when it was lent is counted once', async () => {
  const { pool, dialer, waiting, pass } = await exclusivePool({ connections: 1 })
  dialer.alive[0]!.transitionTo('unwritable')
  const waiter = waiting()
  await handedOver()
  await pass(30)
  assert.equal(waiter.calls, 0)
  dialer.alive[0]!.transitionTo('writable')
  await handedOver()
  assert.equal(waiter.calls, 1)
  const { queued, queueMsTotal } = pool.snapshot()
  assert.deepEqual({ queued, queueMsTotal }, { queued: 1, queueMsTotal: 30 })
})
