import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigUpdate } from '../../src/core/agent-messages.ts'
import { WeirError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import type { AgentConfig } from '../../src/pool/managed-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FakeDialer, settled } from '../support/fake-connection.ts'
import { startedPool } from '../support/pool-fixture.ts'

interface Told {
  readonly pool: ConnectionPool
  readonly clock: FakeClock
  readonly dialer: FakeDialer
  readonly dialledWith: AgentConfig[]
  readonly notices: string[]
  readonly reloads: string[]
  readonly pass: (ms: number) => Promise<void>
}

async function told(features: { configPush: boolean }): Promise<Told> {
  const clock = new FakeClock()
  const dialer = new FakeDialer('fake:1', { features })
  const dialledWith: AgentConfig[] = []
  const notices: string[] = []
  const reloads: string[] = []
  const pool = new ConnectionPool({
    agent: 'waf',
    settings: poolSettings({ connections: 2, retireLingerMs: 0 }),
    around: {
      clock,
      random: seededRandom(1),
      probe: { notice: (_level, message) => notices.push(message) },
      onReloadRequested: (agent) => reloads.push(agent),
    },
    config: { config: { rules: 1 }, version: 'one' },
    nextDialer: (config) => {
      dialledWith.push(config)
      return dialer
    },
  })
  pool.start()
  await settled()
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms)
    pool.visit(clock.now())
    await settled()
  }
  return { pool, clock, dialer, dialledWith, notices, reloads, pass }
}

test('a configuration is really sent, on every connection, and each acknowledgement is kept', async () => {
  const { pool, dialer } = await told({ configPush: true })
  const push = pool.pushConfig({ rules: 2 }, 'two')
  assert.equal(push.id, 'push-1')
  for (const { state } of push.connections.values()) assert.equal(state, 'sent')
  await push.done
  for (const { id, configured } of dialer.alive) {
    assert.deepEqual(configured, [{ config: { rules: 2 }, version: 'two' }])
    assert.equal(push.connections.get(id)?.state, 'acknowledged')
  }
})

test('a refusal is kept with its reason, and is not sent again', async () => {
  const { pool, dialer } = await told({ configPush: true })
  const [first] = dialer.alive
  first!.refusesConfig = new WeirError('PERMISSION_DENIED', 'rules must be a list')
  const push = pool.pushConfig({ rules: 2 })
  await push.done
  const entry = push.connections.get(first!.id)
  assert.equal(entry?.state, 'refused')
  assert.equal(entry?.error, 'rules must be a list')
  assert.equal(first!.configured.length, 1)
  assert.equal(first!.isClosed, false)
})

test('a push that is not acknowledged in time is sent again', async () => {
  const { pool, dialer, pass } = await told({ configPush: true })
  const [first] = dialer.alive
  first!.refusesConfig = new WeirError('TIMEOUT', 'no acknowledgement')
  const push = pool.pushConfig({ rules: 2 })
  await pass(0)
  assert.equal(first!.configured.length, 1)
  await pass(2000)
  await push.done
  assert.equal(push.connections.get(first!.id)?.state, 'acknowledged')
  assert.equal(push.connections.get(first!.id)?.attempts, 2)
})

test('later connections are made with the newest configuration', async () => {
  const { pool, dialer, dialledWith, pass } = await told({ configPush: true })
  assert.deepEqual(
    dialledWith.map(({ version }) => version),
    ['one', 'one'],
  )
  pool.pushConfig({ rules: 2 }, 'two')
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  assert.equal(dialledWith[2]!.version, 'two')
})

test('a connection whose dial began with the old configuration is told the new one', async () => {
  const { pool, dialer, pass } = await told({ configPush: true })
  dialer.answer = 'hang'
  dialer.alive[0]!.transitionTo('closed')
  await pass(0)
  pool.pushConfig({ rules: 2 }, 'two')
  const late = dialer.waiting[0]!.succeed()
  await pass(0)
  assert.deepEqual(late.configured, [{ config: { rules: 2 }, version: 'two' }])
})

test('an agent that cannot be told at run time gets new connections, one after the other', async () => {
  const { pool, dialer, dialledWith, pass } = await told({ configPush: false })
  const before = [...dialer.alive]
  const push = pool.pushConfig({ rules: 2 }, 'two')
  for (const { state } of push.connections.values()) assert.equal(state, 'replacing')
  for (let n = 0; n < 10; n++) {
    await pass(100)
    assert.ok(dialer.alive.length >= 2 && dialer.alive.length <= 3)
  }
  for (const old of before) assert.equal(old.isClosed, true)
  assert.equal(dialer.alive.length, 2)
  assert.deepEqual(
    dialledWith.map(({ version }) => version),
    ['one', 'one', 'two', 'two'],
  )
  for (const { configured } of dialer.connections) assert.deepEqual(configured, [])
})

test('the account of pushes is bounded', async () => {
  const { pool } = await told({ configPush: true })
  for (let n = 0; n < 250; n++) pool.pushConfig({ rules: n })
  assert.equal(pool.configPushes.length, 100)
  assert.equal(pool.configPushes.at(-1)!.id, 'push-250')
})

test('an agent that asks for its configuration is sent what is in force, on the connection that asked', async () => {
  const { pool, dialer, pass } = await told({ configPush: true })
  await pool.pushConfig({ rules: 2 }, 'two').done
  const [asking, other] = dialer.alive
  const ask = (): void =>
    asking!.observer.onConfigUpdate({ requestId: '1', timestampMs: 0, update: { type: 'request-reload' } })
  ask()
  await settled()
  assert.equal(other!.configured.length, 1)
  assert.deepEqual(asking!.configured, [
    { config: { rules: 2 }, version: 'two' },
    { config: { rules: 2 }, version: 'two' },
  ])
  assert.equal([...pool.configPushes.at(-1)!.connections.values()][0]?.state, 'acknowledged')
  for (let n = 0; n < 100; n++) ask()
  await pass(1000)
  assert.equal(asking!.configured.length, 2)
  ask()
  assert.equal(asking!.configured.length, 3)
})

test('an agent that cannot be told at run time keeps its connection when it asks for a reload', async () => {
  const { dialer, reloads, pass } = await told({ configPush: false })
  const [asking] = dialer.alive
  asking!.observer.onConfigUpdate({ requestId: '1', timestampMs: 0, update: { type: 'request-reload' } })
  await pass(20_000)
  assert.deepEqual(reloads, ['waf'])
  assert.deepEqual(asking!.configured, [])
  assert.equal(asking!.isClosed, false)
})

test('an agent may ask for a reload, and for nothing else', async () => {
  const { dialer, notices, reloads } = await told({ configPush: true })
  const [connection] = dialer.alive
  const ask = (requestId: string, update: ConfigUpdate): void =>
    connection!.observer.onConfigUpdate({ requestId, timestampMs: 0, update })
  ask('1', { type: 'request-reload' })
  ask('2', { type: 'rule-update', ruleSet: 'r', rules: [], removeRules: [] })
  ask('3', { type: 'list-update', listId: 'l', add: [], remove: [] })
  ask('4', { type: 'restart-required', reason: 'new binary', gracePeriodMs: 0 })
  ask('5', { type: 'config-error', error: 'rules must be a list' })
  assert.deepEqual(reloads, ['waf'])
  assert.ok(notices.some((notice) => notice.includes('new binary')))
  assert.ok(notices.some((notice) => notice.includes('rules must be a list')))
})

test('no attempt is left for a connection that is gone, and no timer', async () => {
  const { pool, clock, dialer, pass } = await startedPool({
    connections: 1,
  })
  const fake = dialer.alive[0]!
  Object.assign(fake.capabilities.features, { configPush: true })
  fake.refusesConfig = new WeirError('TIMEOUT', 'late')
  const push = pool.pushConfig({ a: 1 }, 'v')
  await pass(0)
  const drained = pool.drain(clock.now() + 10)
  await pass(0)
  await drained
  await push.done
  assert.equal(clock.timers, 0)
  assert.equal(fake.configured.length, 1)
  assert.equal(push.connections.get(fake.id)?.state, 'failed')
})
