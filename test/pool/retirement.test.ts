import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hints, type PoolFixture, startedPool } from '../support/pool-fixture.ts'

async function seconds(fixture: PoolFixture, count: number, each?: () => void): Promise<void> {
  for (let second = 0; second < count; second++) {
    await fixture.pass(1000)
    fixture.pool.visit(fixture.clock.now())
    each?.()
    await fixture.pass(0)
  }
}

test('a connection of age is replaced before it is retired', async () => {
  const fixture = await startedPool({ connections: 1, maxConnectionAgeMs: 60_000 })
  const { pool, dialer } = fixture
  const [old] = dialer.alive
  await seconds(fixture, 62, () => assert.notEqual(pool.lease(hints({ pinnedTo: 0 })), 'unavailable'))
  assert.equal(dialer.connections.length, 2)
  assert.notEqual(pool.find(dialer.connections[1]!.id), undefined)
  const fresh = pool.lease(hints())
  assert.ok(typeof fresh !== 'string')
  assert.notEqual(fresh.id, old!.id)
})

test('connections made together do not retire together', async () => {
  const fixture = await startedPool({ connections: 4, maxConnectionAgeMs: 100_000, retireLingerMs: 0 })
  const retiredAt = new Set<number>()
  let before = 0
  await seconds(fixture, 101, () => {
    const { retired } = fixture.pool.snapshot()
    if (retired > before) retiredAt.add(fixture.clock.now())
    before = retired
  })
  assert.equal(before, 4)
  assert.ok(retiredAt.size >= 3, `retired in ${retiredAt.size} different seconds`)
})

test('a connection is replaced after its share of uses', async () => {
  const fixture = await startedPool({ connections: 1, maxConnectionUses: 10 })
  const [old] = fixture.dialer.alive
  for (let n = 0; n < 10; n++) fixture.lease().release('replied', 1)
  await seconds(fixture, 5)
  assert.equal(old!.isClosed, true)
  assert.equal(fixture.dialer.alive.length, 1)
})

test('a retiring connection still serves the requests it has begun, and nothing new', async () => {
  const fixture = await startedPool({ connections: 1, maxConnectionUses: 1 })
  const begun = fixture.lease()
  await seconds(fixture, 1)
  for (let n = 0; n < 5; n++) assert.notEqual(fixture.lease().id, begun.id)
  const later = fixture.lease({ pinnedTo: begun.id })
  assert.equal(later.id, begun.id)
})

test('a retiring connection closes once its requests are quiet, and at the latest at its bound', async () => {
  const quick = await startedPool({ connections: 1, maxConnectionUses: 1, retireLingerMs: 2000 })
  quick.lease().release('replied', 1)
  const [old] = quick.dialer.alive
  await seconds(quick, 1)
  assert.equal(old!.isClosed, false)
  await seconds(quick, 2)
  assert.equal(old!.isClosed, true)

  const stuck = await startedPool({ connections: 1, maxConnectionUses: 1, retireTimeoutMs: 30_000 })
  stuck.lease()
  const [held] = stuck.dialer.alive
  await seconds(stuck, 29)
  assert.equal(held!.isClosed, false)
  await seconds(stuck, 3)
  assert.equal(held!.isClosed, true)
})

test('a connection that is due stays in service as long as its successor cannot be made', async () => {
  const fixture = await startedPool({ connections: 1, maxConnectionAgeMs: 10_000 })
  fixture.dialer.answer = 'fail'
  await seconds(fixture, 60, () => assert.notEqual(fixture.pool.lease(hints()), 'unavailable'))
  assert.equal(fixture.dialer.alive.length, 1)
})

test('a pool that is made smaller retires its surplus, and one made larger dials at once', async () => {
  const fixture = await startedPool({ connections: 2, retireLingerMs: 0 })
  fixture.pool.resize(4)
  await fixture.pass(0)
  assert.equal(fixture.dialer.alive.length, 4)
  fixture.pool.resize(1)
  await fixture.pass(0)
  assert.equal(fixture.dialer.alive.length, 1)
  fixture.dialer.alive[0]!.transitionTo('closed')
  await fixture.pass(0)
  assert.equal(fixture.dialer.alive.length, 1)
})

test('connections whose server announces its end carry events until their successors are there, and those are made at once', async () => {
  const fixture = await startedPool({ connections: 4, retireLingerMs: 60_000 })
  const { pool, dialer, clock } = fixture
  const old = dialer.alive
  await seconds(fixture, 6)
  for (const connection of old) connection.observer.onRetiring()
  assert.ok(pool.visitAt <= clock.now(), 'a visit is due')
  for (let n = 0; n < 4; n++) {
    assert.notEqual(typeof pool.lease(hints()), 'string')
    pool.visit(clock.now())
    await fixture.pass(0)
  }
  const ready = pool.snapshot().connections.filter(({ stage }) => stage === 'ready')
  assert.deepEqual(
    new Set(ready.map(({ id }) => id)),
    new Set(dialer.connections.slice(4).map(({ id }) => id)),
  )
})

test('a young connection whose server announces its end stays for five seconds, and the pool looks in then', async () => {
  const fixture = await startedPool({ connections: 1, heartbeatMs: 60_000 })
  const { pool, dialer, clock } = fixture
  const [first] = dialer.alive
  const dueAt = clock.now() + 5000
  first!.observer.onRetiring()
  pool.visit(clock.now())
  assert.ok(pool.visitAt <= dueAt && pool.visitAt > clock.now(), `looks in ${pool.visitAt - clock.now()} ms`)
  assert.equal(dialer.connections.length, 1)
  assert.notEqual(typeof pool.lease(hints()), 'string')
  await seconds(fixture, 6)
  assert.equal(dialer.connections.length, 2)
})

test('connections to an agent that says it is draining are replaced, without a storm of dials', async () => {
  const fixture = await startedPool({ connections: 2, retireLingerMs: 0 })
  const old = [...fixture.dialer.alive]
  for (const connection of old) connection.health({ state: 'draining' })
  await seconds(fixture, 8)
  for (const connection of old) assert.equal(connection.isClosed, true)
  assert.equal(typeof fixture.pool.lease(hints()), 'object')
  /* The successors reach the same draining process: each stays for five seconds. */
  const before = fixture.dialer.attempts
  await seconds(fixture, 60, () => {
    for (const connection of fixture.dialer.alive) connection.health({ state: 'draining' })
  })
  assert.ok(fixture.dialer.attempts - before <= 24, `${fixture.dialer.attempts - before} dials in a minute`)
})

test('a connection that dies while its successor is dialled leaves its place to the successor', async () => {
  const fixture = await startedPool({ connections: 1, maxConnectionUses: 1 })
  const { dialer, pool, lease } = fixture
  lease().release('replied', 1)
  dialer.answer = 'hang'
  await seconds(fixture, 1)
  assert.equal(dialer.attempts, 2)
  dialer.alive[0]!.transitionTo('closed')
  await fixture.pass(0)
  assert.equal(dialer.attempts, 2)
  dialer.waiting[0]!.succeed()
  await fixture.pass(0)
  assert.equal(dialer.alive.length, 1)
  assert.equal(pool.snapshot().target, 1)
  dialer.answer = 'succeed'
  dialer.alive[0]!.transitionTo('closed')
  await fixture.pass(0)
  assert.equal(dialer.alive.length, 1)
})
