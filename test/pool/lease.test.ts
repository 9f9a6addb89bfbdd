import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hints, startedPool } from '../support/pool-fixture.ts'

test('leases go round over all connections', async () => {
  const { lease } = await startedPool({ connections: 4 })
  const counts = new Map<number, number>()
  for (let n = 0; n < 400; n++) {
    const { id } = lease()
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  assert.deepEqual([...counts.values()], [100, 100, 100, 100])
})

test('in flight is what was leased and not released', async () => {
  const { lease } = await startedPool({ connections: 1 })
  const [first, second] = [lease(), lease()]
  assert.equal(first.inFlight, 2)
  first.release('replied', 1)
  second.release('cancelled', 0)
  assert.equal(first.inFlight, 0)
})

test('a connection takes as many events as configured, then the pool is full', async () => {
  const { pool, lease } = await startedPool({ connections: 2, maxConcurrentPerConnection: 3 })
  for (let n = 0; n < 6; n++) lease()
  assert.equal(pool.lease(hints()), 'full')
})

test('the limit that an agent announces counts when it is the smaller one', async () => {
  const { pool, dialer, lease, pass } = await startedPool({ connections: 1, maxConcurrentPerConnection: 10 })
  dialer.options = { features: { concurrentRequests: 2 } }
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  lease()
  lease()
  assert.equal(pool.lease(hints()), 'full')
})

test('a pool takes bodies as large as the least that its connections announce, also while they are being replaced', async () => {
  const { pool, dialer, pass } = await startedPool({ connections: 2 })
  assert.equal(pool.maxBodyBytes, Number.POSITIVE_INFINITY, 'the default of the protocol states nothing')
  for (const maxBodySize of [500, 300]) {
    dialer.options = { limits: { maxBodySize } }
    dialer.alive[0]!.transitionTo('closed')
    await pass(0)
  }
  assert.equal(pool.maxBodyBytes, 300)
  dialer.answer = 'fail'
  for (const connection of [...dialer.alive]) connection.transitionTo('closed')
  assert.equal(pool.snapshot().active, 0)
  assert.equal(pool.maxBodyBytes, 300)
})

test('an announced limit of 0 states nothing', async () => {
  const { lease } = await startedPool({ connections: 1, maxConcurrentPerConnection: 500 })
  for (let n = 0; n < 500; n++) lease()
})

test('an exclusive connection takes one event', async () => {
  const { pool, dialer, lease, pass } = await startedPool({ connections: 1 })
  dialer.options = { isExclusive: true }
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  lease()
  assert.equal(pool.lease(hints()), 'full')
})

test('a paused connection is avoided, and only when all are paused the pool says so', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 2 })
  const [first, second] = dialer.alive
  first!.flow('pause')
  for (let n = 0; n < 10; n++) assert.equal(lease().id, second!.id)
  second!.flow('pause')
  assert.equal(pool.lease(hints()), 'paused')
  first!.flow('resume')
  assert.equal(lease().id, first!.id)
})

test('a connection whose socket is full is not picked', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 2 })
  const [first, second] = dialer.alive
  first!.transitionTo('unwritable')
  for (let n = 0; n < 10; n++) assert.equal(lease().id, second!.id)
  second!.transitionTo('unwritable')
  assert.equal(pool.lease(hints()), 'full')
})

test('a capacity update does not resume a paused connection', async () => {
  const { pool, dialer } = await startedPool({ connections: 1 })
  dialer.alive[0]!.flow('pause')
  dialer.alive[0]!.flow('update-capacity')
  assert.equal(pool.lease(hints()), 'paused')
})

test('the connection that just failed is avoided while there is another', async () => {
  const { dialer, lease } = await startedPool({ connections: 2 })
  const [first, second] = dialer.alive
  for (let n = 0; n < 10; n++) assert.equal(lease({ avoid: first!.id }).id, second!.id)
  second!.flow('pause')
  assert.equal(lease({ avoid: first!.id }).id, first!.id)
})

test('a pinned event goes to its own connection, whatever its health', async () => {
  const { dialer, lease } = await startedPool({ connections: 2 })
  const { id } = dialer.alive[0]!
  dialer.alive[0]!.health({ state: 'unhealthy' })
  for (let n = 0; n < 10; n++) assert.equal(lease({ pinnedTo: id }).id, id)
  for (let n = 0; n < 10; n++) assert.notEqual(lease().id, id)
})

test('a pinned event whose connection is gone is refused, never sent elsewhere', async () => {
  const { pool, dialer } = await startedPool({ connections: 2 })
  const [first] = dialer.alive
  first!.transitionTo('closed')
  assert.equal(pool.lease(hints({ pinnedTo: first!.id })), 'affinity-lost')
})

test('a pinned event waits for its own paused connection, also when others are open', async () => {
  const { pool, dialer } = await startedPool({ connections: 2 })
  const [first] = dialer.alive
  first!.flow('pause')
  assert.equal(pool.lease(hints({ pinnedTo: first!.id })), 'paused')
})

test('a pause of one request holds back its body alone', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 1 })
  const { id } = dialer.alive[0]!
  dialer.alive[0]!.flow('pause', 'slow')
  assert.equal(pool.lease(hints({ correlationId: 'slow', pinnedTo: id, isBody: true })), 'paused')
  assert.equal(lease({ correlationId: 'slow', pinnedTo: id, isBody: false }).id, id)
  assert.equal(lease({ correlationId: 'other', pinnedTo: id, isBody: true }).id, id)
  dialer.alive[0]!.flow('resume', 'slow')
  assert.equal(lease({ correlationId: 'slow', pinnedTo: id, isBody: true }).id, id)
})

test('an agent that says it is draining or unhealthy gets no new requests until it says otherwise', async () => {
  for (const state of ['draining', 'unhealthy'] as const) {
    const { pool, dialer, lease } = await startedPool({ connections: 1 })
    dialer.alive[0]!.health({ state })
    assert.equal(pool.lease(hints()), 'unavailable')
    dialer.alive[0]!.health({ state: 'healthy' })
    lease()
  }
})

test('a health report counts no longer than it says', async () => {
  const { pool, clock, dialer, lease } = await startedPool({ connections: 1 })
  dialer.alive[0]!.health({ state: 'unhealthy', timestampMs: 1000, validUntilMs: 6000 })
  assert.equal(pool.lease(hints()), 'unavailable')
  clock.advance(5001)
  lease()
})

test('never more than the configured share of connections is ejected', async () => {
  const { dialer, lease } = await startedPool({
    connections: 4,
    maxEjectedShare: 0.5,
    breaker: { consecutiveFailures: 1e9, minimumVolume: 1e9 },
  })
  for (const { id } of dialer.alive)
    for (let n = 0; n < 20; n++) lease({ pinnedTo: id }).release('timeout', 1000)
  const picked = new Set<number>()
  for (let n = 0; n < 100; n++) {
    const leased = lease()
    picked.add(leased.id)
    leased.release('cancelled', 0)
  }
  assert.equal(picked.size, 2)
})

test('a connection that fails three times in a row is left alone, tried again, and taken back', async () => {
  const { clock, dialer, lease } = await startedPool({ connections: 2 })
  const [bad, good] = dialer.alive
  for (let n = 0; n < 3; n++) lease({ pinnedTo: bad!.id }).release('timeout', 1000)
  for (let n = 0; n < 10; n++) {
    const leased = lease()
    assert.equal(leased.id, good!.id)
    leased.release('replied', 1)
  }
  clock.advance(1000)
  const seen = new Set<number>()
  for (let n = 0; n < 10; n++) {
    const leased = lease()
    seen.add(leased.id)
    leased.release('replied', 1)
  }
  assert.ok(seen.has(bad!.id))
})

test('an open breaker refuses before anything is picked, and lets probes through later', async () => {
  const states: string[] = []
  const { pool, clock, lease } = await startedPool(
    { connections: 1 },
    { breakerChanged: (_agent, state) => states.push(state) },
  )
  for (let n = 0; n < 5; n++) lease().release('timeout', 10)
  assert.equal(pool.lease(hints()), 'breaker-open')
  clock.advance(5000)
  lease().release('replied', 0)
  lease().release('replied', 0)
  assert.deepEqual(states, ['open', 'half-open', 'closed'])
})

test('events that time out long after the breaker opened do not reopen it', async () => {
  const { pool, clock, lease } = await startedPool({ connections: 1 })
  const old = lease()
  clock.advance(1)
  for (let n = 0; n < 5; n++) lease().release('timeout', 10)
  clock.advance(5000)
  const probe = lease()
  old.release('timeout', 5001)
  probe.release('replied', 0)
  lease().release('replied', 0)
  assert.equal(typeof pool.lease(hints()), 'object')
})

test('a restart that drops every connection counts as one failure, not as one per event', async () => {
  const { dialer, lease, pass } = await startedPool({ connections: 4 })
  const leased = Array.from({ length: 40 }, () => lease())
  for (const connection of dialer.alive) connection.transitionTo('closed')
  for (const one of leased) one.release('lost', 5)
  await pass(0)
  lease()
})

test('a stray reply is counted and hurts nothing', async () => {
  let strays = 0
  const { dialer, lease } = await startedPool({ connections: 1 }, { strayReply: () => strays++ })
  assert.equal(dialer.alive[0]!.reply('nobody'), false)
  assert.equal(strays, 1)
  lease()
})

test('two events of one request may be in flight on their connection at once', async () => {
  const { lease } = await startedPool({ connections: 2 })
  const first = lease({ correlationId: 'one' })
  const second = lease({ correlationId: 'one', pinnedTo: first.id })
  assert.equal(second.id, first.id)
  assert.equal(first.inFlight, 2)
})

test('a pin of one agent leads nowhere in the pool of another', async () => {
  const [one, other] = [await startedPool(), await startedPool()]
  const { id } = one.lease()
  assert.equal(other.pool.lease(hints({ pinnedTo: id })), 'affinity-lost')
  assert.equal(other.pool.find(id), undefined)
})

test('a connection is found by its id while it lives, so that a cancel goes to the owner alone', async () => {
  const { pool, dialer, lease } = await startedPool({ connections: 3 })
  const { id } = lease()
  pool.find(id)!.connection.cancel('c', 'client-disconnect')
  assert.deepEqual(
    dialer.alive.map((connection) => connection.cancelled.length),
    dialer.alive.map((connection) => (connection.id === id ? 1 : 0)),
  )
  dialer.alive.find((connection) => connection.id === id)!.transitionTo('closed')
  assert.equal(pool.find(id), undefined)
})

test('a lease that the caller gave up says nothing about the agent, one that timed out does', async () => {
  const { pool, lease } = await startedPool({ connections: 2 })
  for (let n = 0; n < 50; n++) lease().release('cancelled', 1)
  assert.equal(pool.snapshot().errors, 0)
  assert.equal(pool.snapshot().healthy, 2)
  for (let n = 0; n < 4; n++) lease().release('timeout', 1)
  assert.equal(pool.snapshot().errors, 4)
})

test('a connection tells the longer time that its degraded agent asks for, while the report is valid', async () => {
  const { dialer, lease, clock } = await startedPool({ connections: 1 })
  const leased = lease()
  assert.equal(leased.timeoutMultiplier, 1)
  dialer.alive[0]!.health({
    state: 'degraded',
    timeoutMultiplier: 3,
    timestampMs: clock.wallMs(),
    validUntilMs: clock.wallMs() + 1000,
  })
  assert.equal(leased.timeoutMultiplier, 3)
  clock.advance(1000)
  assert.equal(leased.timeoutMultiplier, 1)
})
