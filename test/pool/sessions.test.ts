import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import type { SessionStore, StoredSession } from '../../src/pool/session-store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeDialer, settled } from '../support/fake-connection.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

class MemoryStore implements SessionStore {
  readonly rows = new Map<string, StoredSession>()
  batches = 0
  fails = false

  load(): Promise<readonly StoredSession[]> {
    return Promise.resolve([...this.rows.values()])
  }

  saveBatch(_agent: string, batch: Parameters<SessionStore['saveBatch']>[1]): Promise<void> {
    this.batches++
    if (this.fails) return Promise.reject(new Error('disk full'))
    for (const row of batch.saved) this.rows.set(row.key, row)
    for (const key of batch.removed) this.rows.delete(key)
    return Promise.resolve()
  }
}

interface TwoHomes {
  readonly pool: ConnectionPool
  readonly clock: FakeClock
  readonly store: MemoryStore
  readonly dialers: readonly FakeDialer[]
  readonly lease: (sessionKey: string, avoid?: number) => ReturnType<ConnectionPool['lease']> & object
}

/** Two instances behind one agent, two connections each. */
async function twoHomes(store = new MemoryStore()): Promise<TwoHomes> {
  const clock = new FakeClock()
  const dialers = [new FakeDialer('10.0.0.1:1'), new FakeDialer('10.0.0.2:1')]
  let turn = 0
  const pool = new ConnectionPool({
    agent: 'chat',
    settings: poolSettings({ connections: 4, slowStartMs: 0 }),
    around: { clock, random: seededRandom(5), probe: {}, sessionStore: store },
    nextDialer: () => dialers[turn++ % 2]!,
  })
  pool.start()
  await settled()
  return {
    pool,
    clock,
    store,
    dialers,
    lease: (sessionKey, avoid = 0) => {
      const leased = pool.lease(hints({ sessionKey, avoid }))
      assert.ok(typeof leased !== 'string')
      return leased
    },
  }
}

test('a session stays with its connection', async () => {
  const { lease } = await twoHomes()
  const { id } = lease('alice')
  for (let n = 0; n < 20; n++) assert.equal(lease('alice').id, id)
})

test('a session whose connection dies moves to another connection of the same home', async () => {
  const { lease, dialers } = await twoHomes()
  const first = lease('alice')
  const home = dialers.find(({ endpoint }) => endpoint === first.home)!
  const neighbour = home.alive.find(({ id }) => id !== first.id)!
  home.alive.find(({ id }) => id === first.id)!.transitionTo('closed')
  assert.equal(lease('alice').id, neighbour.id)
  for (let n = 0; n < 20; n++) assert.equal(lease('alice').id, neighbour.id)
})

test('a session whose whole home is gone moves elsewhere and stays there', async () => {
  const { lease, dialers } = await twoHomes()
  const first = lease('alice')
  const home = dialers.find(({ endpoint }) => endpoint === first.home)!
  home.answer = 'fail'
  for (const connection of home.alive) connection.transitionTo('closed')
  const moved = lease('alice')
  assert.notEqual(moved.home, first.home)
  for (let n = 0; n < 20; n++) assert.equal(lease('alice').id, moved.id)
})

test('a busy connection lends its session out for one event and keeps it', async () => {
  const { lease, dialers } = await twoHomes()
  const first = lease('alice')
  const fake = dialers.flatMap(({ alive }) => alive).find(({ id }) => id === first.id)!
  fake.flow('pause')
  assert.notEqual(lease('alice').id, first.id)
  fake.flow('resume')
  assert.equal(lease('alice').id, first.id)
})

test('a session of one agent means nothing to another', async () => {
  const [one, other] = [await twoHomes(), await twoHomes()]
  one.lease('alice')
  assert.equal(other.pool.snapshot().sessions, 0)
  const ids = new Set(other.dialers.flatMap(({ alive }) => alive.map(({ id }) => id)))
  assert.ok(ids.has(other.lease('alice').id))
})

test('a session ends when it is not used, and asking for the snapshot does not prolong it', async () => {
  const { pool, clock, lease } = await twoHomes()
  lease('alice')
  for (let n = 0; n < 10; n++) {
    clock.advance(30_000)
    pool.snapshot()
  }
  pool.visit(clock.now())
  assert.equal(pool.snapshot().sessions, 0)
})

test('a session finds its home again after a restart', async () => {
  const before = await twoHomes()
  const homes = new Map<string, string>()
  for (let n = 0; n < 10; n++) homes.set(`user-${n}`, before.lease(`user-${n}`).home)
  before.pool.visit(before.clock.now())
  await settled()
  assert.equal(before.store.rows.size, 10)
  const after = await twoHomes(before.store)
  for (const [key, home] of homes) assert.equal(after.lease(key).home, home)
})

test('what the store could not take is written later', async () => {
  const { pool, clock, store, lease } = await twoHomes()
  store.fails = true
  lease('alice')
  pool.visit(clock.now())
  await settled()
  assert.equal(store.rows.size, 0)
  store.fails = false
  pool.visit(clock.now())
  await settled()
  assert.equal(store.rows.size, 1)
})

test('a drain writes the last sessions', async () => {
  const { pool, clock, store, lease } = await twoHomes()
  lease('alice').release('replied', 1)
  await pool.drain(clock.now() + 1000)
  assert.equal(store.rows.size, 1)
})

test('ring-hash sends one key to one connection and stores nothing', async () => {
  const { pool, lease } = await startedPool({ connections: 4, strategy: 'ring-hash' })
  const ids = new Set<number>()
  for (let n = 0; n < 20; n++) {
    const leased = lease({ sessionKey: 'alice' })
    ids.add(leased.id)
    leased.release('replied', 1)
  }
  assert.equal(ids.size, 1)
  assert.equal(pool.snapshot().sessions, 0)
})

for (const [name, sessions] of [
  ['the same settings', {}],
  ['other settings', { sessions: { idleTtlMs: 60_000 } }],
] as const)
  test(`a session that was cleared does not come back with a reload to ${name}`, async () => {
    const { pool, clock, store, dialers, lease } = await twoHomes()
    for (const key of ['alice', 'bob']) lease(key)
    await pool.sessions!.flush()
    pool.sessions!.table.clear('alice')
    const successor = new ConnectionPool({
      agent: 'chat',
      settings: poolSettings({ connections: 3, slowStartMs: 0, ...sessions }),
      around: { clock, random: seededRandom(5), probe: {}, sessionStore: store },
      nextDialer: () => dialers[0]!,
      successorOf: pool,
    })
    successor.start()
    await settled()
    const { table } = successor.sessions!
    assert.deepEqual(
      ['alice', 'bob'].map((key) => table.peek(key, clock.now()) !== undefined),
      [false, true],
    )
  })
