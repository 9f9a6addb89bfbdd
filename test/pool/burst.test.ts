import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolOptions } from '../../src/pool/pool-options.ts'
import { hints, type PoolFixture, startedPool } from '../support/pool-fixture.ts'

/** A pool whose connections have all answered within `replyMs`, with as many events in flight on each. */
async function answered(
  options: PoolOptions & { connections: number },
  replyMs = 1,
  inFlight = 20,
): Promise<PoolFixture> {
  const fixture = await startedPool(options)
  for (const live of Array.from({ length: options.connections }, () => fixture.lease()))
    live.release('replied', replyMs)
  for (let n = 0; n < inFlight * options.connections; n++) fixture.lease()
  return fixture
}

/** Leases as one tick does that writes to each connection it gets. */
function leasedInOneTick(fixture: PoolFixture, count: number): number[] {
  const ids = Array.from({ length: count }, () => {
    const live = fixture.lease()
    fixture.fake(live).isGathering = true
    return live.id
  })
  for (const fake of fixture.dialer.alive) fake.isGathering = false
  return ids
}

test('events of one tick follow each other onto one connection, those of the next onto another', async () => {
  const fixture = await answered({ connections: 4 })
  const ticks = Array.from({ length: 4 }, () => leasedInOneTick(fixture, 8))
  for (const ids of ticks) assert.equal(new Set(ids).size, 1)
  assert.equal(new Set(ticks.flat()).size, 4)
})

test('a burst ends at its bound', async () => {
  const fixture = await answered({ connections: 2, maxBurst: 3 })
  const [a, , , b, , , c] = leasedInOneTick(fixture, 7)
  assert.notEqual(a, b)
  assert.equal(a, c)
})

test('a burst stays within twice a fair share of what is in flight', async () => {
  const fixture = await answered({ connections: 4 }, 1, 2)
  const ids = leasedInOneTick(fixture, 10)
  const lengths = [...new Set(ids)].map((id) => ids.filter((other) => other === id).length)
  assert.deepEqual(lengths, [5, 5])
  const idle = await answered({ connections: 4 }, 1, 0)
  assert.ok(new Set(leasedInOneTick(idle, 4)).size > 1)
})

test('a bound of 1 leaves every event to the strategy', async () => {
  const fixture = await answered({ connections: 4, maxBurst: 1 })
  assert.equal(new Set(leasedInOneTick(fixture, 4)).size, 4)
})

test('an agent that answers slowly, or has not answered yet, gets no bursts', async () => {
  const slow = await answered({ connections: 4 }, 11)
  assert.equal(new Set(leasedInOneTick(slow, 4)).size, 4)
  const fresh = await startedPool({ connections: 4 })
  assert.equal(new Set(leasedInOneTick(fresh, 4)).size, 4)
})

test('a burst ends when its connection is full or paused, and never takes a caller who avoids it', async () => {
  const full = await answered({ connections: 2, maxConcurrentPerConnection: 22 })
  const [a, b, c] = leasedInOneTick(full, 3)
  assert.equal(a, b)
  assert.notEqual(b, c)

  const paused = await answered({ connections: 2 })
  const first = paused.lease()
  paused.fake(first).isGathering = true
  assert.equal(paused.lease().id, first.id)
  assert.notEqual(paused.lease({ avoid: first.id }).id, first.id)

  const again = paused.lease()
  paused.fake(again).isGathering = true
  paused.fake(again).flow('pause')
  assert.notEqual(paused.lease().id, again.id)
})

test('callers with a session key are spread, whatever else the tick sends', async () => {
  const fixture = await answered({ connections: 4 })
  const ids = Array.from({ length: 4 }, (_, n) => {
    const live = fixture.pool.lease(hints({ sessionKey: `s${n}` }))
    assert.ok(typeof live !== 'string')
    fixture.fake(live).isGathering = true
    return live.id
  })
  assert.equal(new Set(ids).size, 4)
})
