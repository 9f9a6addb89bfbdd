import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { Registry } from '../../src/pool/registry.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeDialer, settled } from '../support/fake-connection.ts'
import { hints } from '../support/pool-fixture.ts'

function house(): {
  clock: FakeClock
  registry: Registry
  errors: unknown[]
  pool: (agent: string, dialer?: FakeDialer, successorOf?: ConnectionPool) => ConnectionPool
} {
  const clock = new FakeClock()
  const errors: unknown[] = []
  const registry = new Registry(clock, (error) => errors.push(error))
  const pool = (agent: string, dialer = new FakeDialer(), successorOf?: ConnectionPool): ConnectionPool =>
    new ConnectionPool({
      agent,
      settings: poolSettings({ connections: 1 }),
      around: { clock, random: seededRandom(1), probe: {} },
      nextDialer: () => dialer,
      successorOf,
    })
  return { clock, registry, errors, pool }
}

test('an agent is found by its name, and by no other', async () => {
  const { registry, pool } = house()
  const waf = pool('waf')
  registry.add(waf)
  assert.equal(registry.get('waf'), waf)
  assert.equal(registry.get('auth'), undefined)
  await settled()
  assert.equal(typeof waf.lease(hints()), 'object')
})

test('a name that is taken is refused, and the agent that has it is left alone', async () => {
  const { registry, pool } = house()
  const first = pool('waf')
  registry.add(first)
  assert.throws(() => registry.add(pool('waf')), { code: 'CONFLICT' })
  assert.equal(registry.get('waf'), first)
  await settled()
  assert.equal(typeof first.lease(hints()), 'object')
})

test('a removed agent finishes its work before it is gone', async () => {
  const { clock, registry, pool } = house()
  const waf = pool('waf')
  registry.add(waf)
  await settled()
  const leased = waf.lease(hints())
  assert.ok(typeof leased !== 'string')
  let isGone = false
  const removed = registry.remove('waf', clock.now() + 10_000).then(() => {
    isGone = true
  })
  assert.equal(registry.get('waf'), undefined)
  await settled()
  assert.equal(isGone, false)
  leased.release('replied', 1)
  await removed
})

test('an agent that nobody knows cannot be removed', async () => {
  const { registry } = house()
  await assert.rejects(registry.remove('waf', 0), { code: 'NOT_FOUND' })
})

test('a replaced agent serves at once through its new pool, and the old one is closed', async () => {
  const { clock, registry, pool } = house()
  const dialer = new FakeDialer()
  const old = pool('waf', dialer)
  registry.add(old)
  await settled()
  const fresh = pool('waf')
  fresh.start()
  await fresh.whenReady
  await registry.replace(fresh, clock.now() + 1000)
  assert.equal(registry.get('waf'), fresh)
  assert.equal(dialer.alive.length, 0)
  assert.equal(typeof fresh.lease(hints()), 'object')
})

test('a replaced agent keeps the history of its failures', async () => {
  const { registry, pool } = house()
  const old = pool('waf')
  registry.add(old)
  await settled()
  for (let n = 0; n < 5; n++) {
    const leased = old.lease(hints())
    assert.ok(typeof leased !== 'string')
    leased.release('timeout', 0)
  }
  const fresh = pool('waf', new FakeDialer(), old)
  fresh.start()
  await settled()
  assert.equal(fresh.lease(hints()), 'breaker-open')
})

test('draining the registry drains all agents at once under one deadline', async () => {
  const { clock, registry, pool } = house()
  const pools = ['a', 'b', 'c', 'd'].map((name) => pool(name))
  for (const one of pools) registry.add(one)
  await settled()
  for (const one of pools) assert.equal(typeof one.lease(hints()), 'object')
  const started = clock.now()
  const drained = registry.drain(started + 1000)
  assert.equal(registry.drain(started + 9000), drained)
  assert.throws(() => registry.add(pool('late')), { code: 'DRAINING' })
  clock.advance(1000)
  await drained
  assert.equal(clock.now() - started, 1000)
  for (const one of pools) assert.equal(one.snapshot().active, 0)
  assert.equal(clock.timers, 0)
})

test('ten thousand idle agents share one timer', async () => {
  const { clock, registry, pool } = house()
  for (let n = 0; n < 10_000; n++) registry.add(pool(`agent-${n}`))
  await settled()
  assert.equal(registry.size, 10_000)
  assert.equal(clock.timers, 1)
})

test('an idle agent is not visited before its next heartbeat', async () => {
  const { clock, registry, pool } = house()
  const waf = pool('waf')
  registry.add(waf)
  await settled()
  assert.equal(waf.visitAt, clock.now() + 10_000)
})

test('a visit that throws does not keep the others from theirs', async () => {
  const { clock, registry, pool, errors } = house()
  const broken = pool('broken')
  broken.visit = () => {
    throw new Error('broken')
  }
  const dialer = new FakeDialer()
  registry.add(broken)
  registry.add(pool('waf', dialer))
  await settled()
  for (let second = 0; second < 12; second++) {
    clock.advance(1000)
    await settled()
  }
  assert.ok(errors.length > 0)
  assert.ok(dialer.alive[0]!.pings > 0)
})

test('what is configured anew takes effect in the successor, and sessions go on all the same', async () => {
  const clock = new FakeClock()
  const make = (
    consecutiveFailures: number,
    idleTtlMs: number,
    successorOf?: ConnectionPool,
  ): ConnectionPool =>
    new ConnectionPool({
      agent: 'waf',
      settings: poolSettings({ connections: 1, breaker: { consecutiveFailures }, sessions: { idleTtlMs } }),
      around: { clock, random: seededRandom(1), probe: {} },
      nextDialer: () => new FakeDialer(),
      successorOf,
    })
  const old = make(5, 60_000)
  old.start()
  await settled()
  old.lease(hints({ sessionKey: 'alice' }))
  for (let n = 0; n < 5; n++) {
    const leased = old.lease(hints())
    if (typeof leased !== 'string') leased.release('timeout', 0)
  }
  assert.equal(old.snapshot().breaker, 'open')
  const fresh = make(6, 10_000, old)
  assert.equal(fresh.snapshot().breaker, 'closed')
  assert.equal(fresh.snapshot().sessions, 1)
  clock.advance(10_000)
  fresh.visit(clock.now())
  assert.equal(fresh.snapshot().sessions, 0)
  assert.equal(old.snapshot().sessions, 1)
})
