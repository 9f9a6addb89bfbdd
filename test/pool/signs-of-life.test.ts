import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolOptions } from '../../src/pool/pool-options.ts'
import { hints, type PoolFixture, startedPool } from '../support/pool-fixture.ts'

/** A pool whose agent has just failed five times, half a second ago. */
async function broken(options: PoolOptions = {}): Promise<PoolFixture> {
  const fixture = await startedPool({
    connections: 2,
    heartbeatMs: 10_000,
    breaker: { openMs: 60_000, leastOpenMs: 500 },
    health: { consecutiveFailures: 1e9, ejectBelow: -1, degradeBelow: -1 },
    ...options,
  })
  for (let n = 0; n < 5; n++) fixture.lease().release('timeout', 0)
  assert.equal(fixture.pool.lease(hints()), 'breaker-open')
  fixture.clock.advance(500)
  assert.equal(fixture.pool.lease(hints()), 'breaker-open')
  return fixture
}

test('a connection that comes while the breaker is open gives the agent a trial at once', async () => {
  const { pool, dialer, pass } = await broken()
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  assert.equal(pool.snapshot().breaker, 'half-open')
  assert.notEqual(typeof pool.lease(hints()), 'string')
})

test('while the breaker is open the agent is pinged once per visit, and a pong that ends a silence gives it a trial', async () => {
  const { pool, dialer, clock, pass } = await broken()
  for (const one of dialer.alive) one.answersPings = false
  assert.equal(pool.visitAt, 0)
  pool.visit(clock.now())
  await pass(0)
  assert.equal(pool.snapshot().breaker, 'open')
  assert.deepEqual(
    dialer.alive.map(({ pings }) => pings),
    [1, 1],
  )
  for (const one of dialer.alive) one.answersPings = true
  pool.visit(clock.now())
  await pass(0)
  assert.equal(pool.snapshot().breaker, 'half-open')
  pool.visit(clock.now())
  await pass(0)
  assert.deepEqual(
    dialer.alive.map(({ pings }) => pings),
    [2, 2],
  )
})

test('a reply that comes too late shows that the agent works again', async () => {
  const { pool, dialer } = await broken()
  dialer.alive[0]!.reply('forgotten')
  assert.equal(pool.snapshot().breaker, 'half-open')
})

test('an agent that answered pings all along and nothing else gets no trial for them', async () => {
  const { pool, clock, dialer, pass } = await broken()
  for (let visit = 0; visit < 10; visit++) {
    clock.advance(1000)
    pool.visit(clock.now())
    await pass(0)
  }
  assert.ok(dialer.alive[0]!.pings >= 10)
  assert.equal(pool.snapshot().breaker, 'open')
})

test('an open breaker whose pause is over asks for no more pings', async () => {
  const { pool, dialer, clock, pass } = await broken({ breaker: { openMs: 1000, leastOpenMs: 1000 } })
  clock.advance(1000)
  pool.visit(clock.now())
  await pass(0)
  assert.deepEqual(
    dialer.alive.map(({ pings }) => pings),
    [0, 0],
  )
  assert.ok(pool.visitAt > clock.now())
})

test('a legacy connection has no greeting, so that it came proves nothing', async () => {
  const fixture = await startedPool({ connections: 1, breaker: { openMs: 60_000, leastOpenMs: 0 } })
  fixture.dialer.options = { transport: 'v1', isExclusive: true }
  for (let n = 0; n < 5; n++) fixture.lease().release('timeout', 0)
  fixture.dialer.alive[0]!.transitionTo('closed')
  await fixture.pass(0)
  assert.equal(fixture.dialer.alive.length, 1)
  assert.equal(fixture.pool.snapshot().breaker, 'open')
})
