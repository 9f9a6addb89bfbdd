import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeConnection, FakeDialer, settled } from '../support/fake-connection.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

test('all connections of an agent are dialled at once', async () => {
  const dialer = new FakeDialer()
  dialer.answer = 'hang'
  const around = { clock: new FakeClock(), random: seededRandom(1), probe: {} }
  const pool = new ConnectionPool({
    agent: 'waf',
    settings: poolSettings({ connections: 4 }),
    around,
    nextDialer: () => dialer,
  })
  pool.start()
  await settled()
  assert.equal(dialer.waiting.length, 4)
})

test('an agent is usable once one connection is ready, however stuck the other dials are', async () => {
  const dialer = new FakeDialer()
  dialer.answer = 'hang'
  const around = { clock: new FakeClock(), random: seededRandom(1), probe: {} }
  const pool = new ConnectionPool({
    agent: 'waf',
    settings: poolSettings({ connections: 4 }),
    around,
    nextDialer: () => dialer,
  })
  pool.start()
  await settled()
  assert.equal(pool.lease(hints()), 'unavailable')
  dialer.waiting[2]!.succeed()
  await settled()
  assert.equal(typeof pool.lease(hints()), 'object')
})

test('a dial that never ends is abandoned and tried again', async () => {
  const clock = new FakeClock()
  const dialer = new FakeDialer()
  dialer.answer = 'hang'
  const settings = poolSettings({ connections: 1, dialTimeoutMs: 1000, reconnect: { initialMs: 100 } })
  const pool = new ConnectionPool({
    agent: 'waf',
    settings,
    around: { clock, random: seededRandom(1), probe: {} },
    nextDialer: () => dialer,
  })
  pool.start()
  await settled()
  const stuck = dialer.waiting[0]!
  clock.advance(1000)
  assert.equal(stuck.signal.aborted, true)
  clock.advance(100)
  await settled()
  assert.equal(dialer.attempts, 2)
  /* The abandoned dial succeeds after all: its connection must not join as a fifth wheel. */
  const late = stuck.succeed()
  await settled()
  assert.equal(late.isClosed, true)
  assert.equal(pool.lease(hints()), 'unavailable')
})

test('a connection that dies is replaced at once and never picked again', async () => {
  const { pool, dialer, lease, fake, pass } = await startedPool({ connections: 2 })
  const victim = fake(lease())
  victim.transitionTo('closed')
  assert.equal(pool.find(victim.id), undefined)
  await pass(0)
  assert.equal(dialer.attempts, 3)
  assert.equal(dialer.alive.length, 2)
  for (let n = 0; n < 10; n++) assert.notEqual(lease().id, victim.id)
})

test('an agent that is down is dialled ever more slowly and never given up', async () => {
  const { pool, clock, dialer, pass } = await startedPool({
    connections: 1,
    reconnect: { initialMs: 100, maxMs: 30_000 },
  })
  dialer.answer = 'fail'
  dialer.alive[0]!.transitionTo('closed')
  await settled()
  for (let second = 0; second < 3600; second++) await pass(1000)
  const afterAnHour = dialer.attempts
  /* One attempt per 15 to 30 s at the ceiling, about ten more on the way there. */
  assert.ok(afterAnHour >= 120 && afterAnHour <= 260, `${afterAnHour} attempts`)
  assert.ok(clock.timers >= 1)
  dialer.answer = 'succeed'
  for (let second = 0; second < 30; second++) await pass(1000)
  assert.equal(typeof pool.lease(hints()), 'object')
})

test('an agent that is down at the start is found when it comes up', async () => {
  const clock = new FakeClock()
  const dialer = new FakeDialer()
  dialer.answer = 'fail'
  const pool = new ConnectionPool({
    agent: 'waf',
    settings: poolSettings(),
    around: { clock, random: seededRandom(1), probe: {} },
    nextDialer: () => dialer,
  })
  pool.start()
  await settled()
  assert.equal(pool.lease(hints()), 'unavailable')
  dialer.answer = 'succeed'
  clock.advance(100)
  await settled()
  assert.equal(dialer.alive.length, 4)
})

test('the first success after an outage brings back the full width in one round', async () => {
  const { dialer, pass } = await startedPool({ connections: 4 })
  dialer.answer = 'fail'
  for (const connection of dialer.alive) connection.transitionTo('closed')
  for (let n = 0; n < 60; n++) await pass(1000)
  dialer.answer = 'succeed'
  for (let n = 0; n < 300 && dialer.alive.length === 0; n++) await pass(100)
  assert.equal(dialer.alive.length, 4)
})

test('an agent that accepts and hangs up is dialled ever more slowly', async () => {
  const { dialer, pass } = await startedPool({ connections: 2, reconnect: { initialMs: 100, maxMs: 10_000 } })
  for (let n = 0; n < 600; n++) {
    for (const connection of dialer.alive) connection.transitionTo('closed')
    await pass(100)
  }
  assert.ok(dialer.attempts < 80, `${dialer.attempts} dials in a minute`)
})

test('a connection that proved itself is redialled at once, again and again', async () => {
  const { dialer, pass } = await startedPool({ connections: 1, stableAfterMs: 5000 })
  for (let n = 1; n <= 5; n++) {
    await pass(5000)
    dialer.alive[0]!.transitionTo('closed')
    await pass(0)
    assert.equal(dialer.attempts, 1 + n)
  }
})

test('the number of connections never exceeds the target through a storm of losses', async () => {
  const { dialer, pass } = await startedPool({ connections: 3 })
  for (let n = 0; n < 200; n++) {
    dialer.alive[n % Math.max(1, dialer.alive.length)]?.transitionTo('closed')
    await pass(n % 7 === 0 ? 700 : 30)
    assert.ok(dialer.alive.length <= 3)
  }
})

test('a connection that closed as it was made is dialled again, not taken', async () => {
  const { pool, dialer, pass } = await startedPool({ connections: 1 })
  dialer.answer = 'hang'
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  dialer.answer = 'succeed'
  const stillborn = new FakeConnection()
  stillborn.transitionTo('closed')
  dialer.waiting[0]!.succeed(stillborn)
  await pass(0)
  assert.equal(pool.lease(hints()), 'unavailable')
  await pass(100)
  assert.equal(typeof pool.lease(hints()), 'object')
})
