import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import type { AgentConfig } from '../../src/pool/managed-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeConnection, settled } from '../support/fake-connection.ts'
import { hints, NotingWaiter, startedPool } from '../support/pool-fixture.ts'

function reversePool(
  connections = 2,
  config?: AgentConfig,
): { pool: ConnectionPool; clock: FakeClock; notices: string[] } {
  const clock = new FakeClock()
  const notices: string[] = []
  const probe = { notice: (_level: string, message: string) => notices.push(message) }
  const around = { clock, random: seededRandom(1), probe }
  const settings = poolSettings({ connections, slowStartMs: 0 })
  const pool = new ConnectionPool({ agent: 'pii', settings, around, config })
  pool.start()
  return { pool, clock, notices }
}

const reverse = (): FakeConnection => new FakeConnection('unix:agent', { transport: 'reverse' })

test('an agent that dials in is leased, and never dialled by us', async () => {
  const { pool, clock } = reversePool()
  assert.equal(pool.lease(hints()), 'unavailable')
  const connection = reverse()
  assert.equal(pool.adopt(connection), undefined)
  const leased = pool.lease(hints())
  assert.ok(typeof leased !== 'string')
  assert.equal(leased.id, connection.id)
  connection.transitionTo('closed')
  clock.advance(600_000)
  await settled()
  assert.equal(pool.lease(hints()), 'unavailable')
  assert.equal(pool.snapshot().dialFailures, 0)
})

test('one connection too many is refused before it is taken, and stays open for its owner to close', () => {
  const { pool } = reversePool(2)
  assert.equal(pool.adopt(reverse()), undefined)
  assert.equal(pool.adopt(reverse()), undefined)
  assert.equal(pool.canAdopt()?.code, 'OVERLOADED')
  const third = reverse()
  assert.equal(pool.adopt(third)?.code, 'OVERLOADED')
  assert.equal(third.isClosed, false)
  assert.equal(pool.snapshot().active, 2)
})

test('a pool of an agent that dials in shrinks too: the youngest finish their work and go', async () => {
  const { pool, clock } = reversePool(3)
  const connections = [reverse(), reverse(), reverse()]
  for (const connection of connections) assert.equal(pool.adopt(connection), undefined)
  const leases = connections.map(() => pool.lease(hints()))
  pool.resize(1)
  assert.equal(pool.snapshot().retiring, 2)
  assert.equal(pool.canAdopt()?.code, 'OVERLOADED')
  for (const lease of leases) {
    assert.ok(typeof lease !== 'string')
    lease.release('replied', 1)
  }
  clock.advance(2000)
  await settled()
  assert.deepEqual(
    connections.map(({ isClosed }) => isClosed),
    [false, true, true],
  )
})

test('an agent that reconnects a hundred times is never locked out', () => {
  const { pool } = reversePool(1)
  for (let n = 0; n < 100; n++) {
    const connection = reverse()
    assert.equal(pool.adopt(connection), undefined)
    connection.transitionTo('closed')
    assert.equal(pool.snapshot().active, 0)
  }
})

test('two agents that dial in in the same turn both keep their connections', () => {
  const { pool } = reversePool(2)
  const [one, other] = [reverse(), reverse()]
  pool.adopt(one)
  pool.adopt(other)
  assert.notEqual(pool.find(one.id), undefined)
  assert.notEqual(pool.find(other.id), undefined)
})

test('a newer run of an instance replaces the older one, which finishes its work', async () => {
  const { pool, clock } = reversePool(1)
  const old = reverse()
  pool.adopt(old, { instance: 'pod-1', epoch: 1 })
  const held = pool.lease(hints())
  assert.ok(typeof held !== 'string')
  const fresh = reverse()
  assert.equal(pool.adopt(fresh, { instance: 'pod-1', epoch: 2 }), undefined)
  const next = pool.lease(hints())
  assert.ok(typeof next !== 'string')
  assert.equal(next.id, fresh.id)
  assert.equal(old.isClosed, false)
  held.release('replied', 1)
  clock.advance(2000)
  await settled()
  assert.equal(old.isClosed, true)
  assert.equal(fresh.isClosed, false)
})

test('an older run of an instance is refused while a newer one is connected', () => {
  const { pool } = reversePool(4)
  pool.adopt(reverse(), { instance: 'pod-1', epoch: 2 })
  assert.equal(pool.canAdopt({ instance: 'pod-1', epoch: 1 })?.code, 'CONFLICT')
  assert.equal(pool.canAdopt({ instance: 'pod-2', epoch: 1 }), undefined)
})

test('an instance that counts its runs up for ever cannot pile up connections that finish', () => {
  const { pool } = reversePool(2)
  for (let epoch = 1; epoch <= 50; epoch++) {
    if (pool.adopt(reverse(), { instance: 'pod-1', epoch }) !== undefined) break
    pool.lease(hints())
  }
  assert.ok(pool.snapshot().active <= 6, `${pool.snapshot().active} connections`)
})

test('each connection is judged by its own announcement, also a later one', () => {
  const { pool } = reversePool(2)
  const first = new FakeConnection('unix:agent', {
    transport: 'reverse',
    features: { concurrentRequests: 1 },
  })
  const second = new FakeConnection('unix:agent', {
    transport: 'reverse',
    features: { concurrentRequests: 3 },
  })
  pool.adopt(first)
  pool.adopt(second)
  let leases = 0
  while (typeof pool.lease(hints()) !== 'string') leases++
  assert.equal(leases, 4)
})

test('callers that wait are served by the connection that comes in', () => {
  const { pool } = reversePool()
  const waiter = new NotingWaiter()
  pool.wait(waiter)
  const connection = reverse()
  pool.adopt(connection)
  assert.equal(waiter.leased?.id, connection.id)
})

test('an agent that dials in is told its configuration first', () => {
  const { pool } = reversePool(1, { config: { rules: 1 }, version: 'v7' })
  const connection = reverse()
  pool.adopt(connection)
  assert.deepEqual(connection.configured, [{ config: { rules: 1 }, version: 'v7' }])
})

test('an agent that dials in and refuses its configuration is dropped', async () => {
  const { pool } = reversePool(1, { config: { rules: 1 }, version: 'v7' })
  const connection = reverse()
  connection.refusesConfig = new WeirError('PERMISSION_DENIED', 'rules must be a list')
  pool.adopt(connection)
  await settled()
  assert.equal(connection.isClosed, true)
  assert.equal(pool.configPushes[0]!.connections.get(connection.id)?.state, 'refused')
})

const RULES: AgentConfig = { config: { rules: 1 }, version: 'v7' }

/** An agent that announced that it takes configurations, and answers when told to. */
function configurable(): FakeConnection {
  const connection = new FakeConnection('unix:agent', {
    transport: 'reverse',
    features: { configPush: true },
  })
  connection.answersConfig = false
  return connection
}

test('an agent that dials in and takes configurations gets no event before it acknowledged its own', async () => {
  const { pool, notices } = reversePool(1, RULES)
  const connection = configurable()
  let isReady = false
  void pool.whenReady.then(() => {
    isReady = true
  })
  pool.adopt(connection)
  await settled()
  assert.equal(pool.lease(hints()), 'unavailable')
  assert.equal(isReady, false)
  assert.equal(pool.snapshot().configuring, 1)
  assert.equal(pool.canAdopt()?.code, 'OVERLOADED')
  connection.answerConfig()
  await settled()
  assert.equal(isReady, true)
  const leased = pool.lease(hints())
  assert.ok(typeof leased !== 'string' && leased.id === connection.id)
  assert.deepEqual(notices, [])
})

test('an agent that dials in and never acknowledges its configuration is used after five seconds', async () => {
  const { pool, clock, notices } = reversePool(1, RULES)
  const connection = configurable()
  pool.adopt(connection)
  clock.advance(4999)
  assert.equal(pool.lease(hints()), 'unavailable')
  clock.advance(1)
  assert.notEqual(typeof pool.lease(hints()), 'string')
  for (let attempt = 0; attempt < 3; attempt++) {
    connection.answerConfig(new WeirError('TIMEOUT', 'no answer'))
    await settled()
    clock.advance(2000)
    await settled()
  }
  assert.equal(connection.configured.length, 3)
  assert.equal(connection.isClosed, false)
  assert.equal(notices.filter((notice) => notice.includes('acknowledged none')).length, 1)
  assert.equal(pool.configPushes[0]!.connections.get(connection.id)?.state, 'failed')
})

test('an agent that dials in and announces nothing is sent its configuration, and used at once', async () => {
  const { pool, clock } = reversePool(1, RULES)
  const connection = reverse()
  connection.answersConfig = false
  pool.adopt(connection)
  assert.equal(connection.configured.length, 1)
  assert.notEqual(typeof pool.lease(hints()), 'string')
  clock.advance(60_000)
  await settled()
  assert.equal(connection.isClosed, false)
})

test('a newer run replaces the older one only when it took its configuration', async () => {
  const { pool, clock } = reversePool(2, RULES)
  const old = configurable()
  pool.adopt(old, { instance: 'pod-1', epoch: 1 })
  old.answerConfig()
  await settled()
  const fresh = configurable()
  assert.equal(pool.adopt(fresh, { instance: 'pod-1', epoch: 2 }), undefined)
  assert.equal((pool.lease(hints()) as { id: number }).id, old.id)
  fresh.answerConfig()
  await settled()
  assert.equal((pool.lease(hints()) as { id: number }).id, fresh.id)
  assert.equal(pool.snapshot().retiring, 1)
  const refusing = configurable()
  pool.adopt(refusing, { instance: 'pod-1', epoch: 3 })
  refusing.answerConfig(new WeirError('PERMISSION_DENIED', 'rules must be a list'))
  await settled()
  assert.equal(refusing.isClosed, true)
  clock.advance(0)
  assert.equal((pool.lease(hints()) as { id: number }).id, fresh.id)
})

test('a configuration that changed while a connection took the former one follows it', async () => {
  const { pool } = reversePool(1, RULES)
  const connection = configurable()
  pool.adopt(connection)
  pool.pushConfig({ rules: 2 }, 'v8')
  connection.answerConfig()
  await settled()
  assert.deepEqual(
    connection.configured.map(({ version }) => version),
    ['v7', 'v8'],
  )
})

test('a connection that ends while it thinks its configuration over leaves nothing behind', async () => {
  const { pool, clock } = reversePool(1, RULES)
  const connection = configurable()
  pool.adopt(connection)
  connection.transitionTo('closed')
  connection.answerConfig(new WeirError('CONNECTION_LOST', 'reset'))
  await settled()
  assert.equal(clock.timers, 0)
  assert.equal(pool.snapshot().active, 0)
  const next = configurable()
  pool.adopt(next)
  const drained = pool.drain(clock.now() + 1000)
  next.answerConfig(new WeirError('CONNECTION_LOST', 'closed'))
  await drained
  await settled()
  assert.equal(next.isClosed, true)
  assert.equal(clock.timers, 0)
})

test('a pool that was made smaller while an agent took its configuration keeps no more than it may', async () => {
  const { pool, clock } = reversePool(2, RULES)
  const [one, two] = [configurable(), configurable()]
  pool.adopt(one)
  pool.adopt(two)
  pool.resize(1)
  one.answerConfig()
  two.answerConfig()
  await settled()
  clock.advance(2000)
  await settled()
  assert.deepEqual([one.isClosed, two.isClosed], [false, true])
})

test('an agent that we dial cannot dial in under the same name', async () => {
  const { pool } = await startedPool({ connections: 1 })
  assert.equal(pool.adopt(reverse())?.code, 'CONFLICT')
  assert.equal(pool.snapshot().active, 1)
})

test('a draining pool takes nobody in', async () => {
  const { pool, clock } = reversePool()
  await pool.drain(clock.now() + 10)
  assert.equal(pool.adopt(reverse())?.code, 'DRAINING')
})

test('other settings keep the connection of an agent that dials in, what is in flight and what is bound to it', () => {
  const { pool, clock } = reversePool(1)
  const connection = reverse()
  pool.adopt(connection)
  const held = pool.lease(hints())
  assert.ok(typeof held !== 'string')
  held.pin()
  const queued = new NotingWaiter()
  pool.retune(poolSettings({ strategy: 'p2c', maxConcurrentPerConnection: 1, maxWaiters: 1 }))
  assert.equal(pool.lease(hints()), 'full')
  assert.equal(pool.wait(queued), undefined)
  assert.equal(pool.wait(new NotingWaiter())?.code, 'OVERLOADED')
  pool.retune(poolSettings({ strategy: 'ring-hash', maxConcurrentPerConnection: 3 }))
  assert.equal(queued.leased?.id, connection.id)
  const bound = pool.lease(hints({ pinnedTo: connection.id }))
  assert.ok(typeof bound !== 'string' && bound.id === connection.id)
  for (const lease of [held, bound]) lease.release('replied', 1)
  queued.leased?.release('replied', 1)
  held.unpin('')
  assert.deepEqual([pool.snapshot().inFlight, pool.snapshot().active, connection.isClosed], [0, 1, false])
  void pool.drain(clock.now() + 1000)
  assert.equal(connection.isClosed, true)
  assert.equal(pool.canAdopt()?.code, 'DRAINING')
})

test('sticky sessions, the breaker and the stall bound follow other settings', () => {
  const { pool, clock } = reversePool(2)
  const [one, other] = [reverse(), reverse()]
  pool.adopt(one)
  pool.adopt(other)
  const first = pool.lease(hints({ sessionKey: 'ann' }))
  assert.ok(typeof first !== 'string')
  first.release('replied', 1)
  pool.retune(poolSettings({ strategy: 'random', slowStartMs: 0, breaker: { consecutiveFailures: 1 } }))
  assert.equal(pool.sessions?.table.size, 1)
  pool.retune(
    poolSettings({
      slowStartMs: 0,
      breaker: { consecutiveFailures: 1 },
      sessions: { idleTtlMs: 60_000 },
      health: { stallMs: 100 },
    }),
  )
  assert.equal(pool.sessions?.table.size, 1)
  const stalled = pool.lease(hints())
  assert.ok(typeof stalled !== 'string')
  clock.advance(150)
  pool.visit(clock.now())
  assert.equal(pool.snapshot().ejections, 1)
  stalled.release('cancelled', 150)
  const failing = pool.lease(hints())
  assert.ok(typeof failing !== 'string')
  failing.release('timeout', 1)
  assert.equal(pool.lease(hints()), 'breaker-open')
  pool.retune(poolSettings({ strategy: 'ring-hash', slowStartMs: 0 }))
  assert.equal(pool.sessions, undefined)
  assert.notEqual(typeof pool.lease(hints()), 'string')
})

test('a pool whose connections we dial takes no other settings', async () => {
  const { pool } = await startedPool({ connections: 1 })
  assert.throws(() => pool.retune(poolSettings()), { code: 'CONFLICT' })
  assert.equal(pool.snapshot().active, 1)
})
