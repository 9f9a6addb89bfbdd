import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SILENT } from '../../src/core/probe.ts'
import { seededRandom } from '../../src/core/random.ts'
import type { AgentEntry } from '../../src/daemon/agents/agent-set.ts'
import type { AgentConfig } from '../../src/daemon/config/config.ts'
import { loadConfig } from '../../src/daemon/config/load.ts'
import { agentView, connectionViews } from '../../src/daemon/operations/agent-views.ts'
import { makePool } from '../../src/pool/make-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import type { PoolSnapshot } from '../../src/pool/pool-snapshot.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const NOTE = { dialFailure: undefined, denials: {} }

async function agentConfig(t: TestContext): Promise<AgentConfig> {
  const file = join(await temporaryFolder(t), 'weir.yaml')
  await writeFile(
    file,
    'listen: { http: "127.0.0.1:0" }\nagents: { waf: { endpoint: "unix:./waf.sock" } }\nroutes: [{ match: { path: /* }, upstream: "http://127.0.0.1:1", agents: [waf] }]\n',
  )
  const loaded = loadConfig(file)
  assert.ok(loaded.isValid)
  return loaded.config.agents[0]!
}

test('the state of an agent follows from what an event would meet, the most fundamental first', async (t) => {
  const config = await agentConfig(t)
  const pool = makePool({
    agent: 'waf',
    settings: poolSettings({}),
    around: { clock: new FakeClock(), random: seededRandom(1), probe: SILENT },
    nextDialer: undefined,
    isExclusive: false,
    successorOf: undefined,
    config: { config: undefined, version: undefined },
  })
  const calm: PoolSnapshot = { ...pool.snapshot(), active: 2, available: 2, healthy: 2 }
  const ban = {
    agent: 'waf',
    reason: '',
    author: 'ada',
    atWallMs: 0,
    untilWallMs: undefined,
    remainingMs: undefined,
    isWritten: true,
  }
  const entryOf = (facts: Partial<PoolSnapshot>, isDrained: boolean): AgentEntry => ({
    config,
    isDrained,
    pool: Object.create(pool, {
      snapshot: { value: () => ({ ...calm, ...facts }) },
      configPushes: { value: [] },
    }),
  })
  const cases: readonly (readonly [
    state: string,
    facts: Partial<PoolSnapshot>,
    more?: { isDrained?: boolean; isBanned?: boolean },
  ])[] = [
    ['ready', {}],
    ['draining', { active: 0 }, { isDrained: true, isBanned: true }],
    ['banned', { active: 0, breaker: 'open' }, { isBanned: true }],
    ['unavailable', { active: 0, available: 0, breaker: 'open' }],
    ['unavailable', { retiring: 2, available: 0 }],
    ['unavailable', { configuring: 2, available: 0 }],
    ['breaker-open', { breaker: 'open', paused: 2 }],
    ['paused', { breaker: 'half-open', paused: 2 }],
    ['unavailable', { healthy: 0, available: 0 }],
    ['half-open', { breaker: 'half-open', available: 0 }],
    ['half-open', { healthy: 0, available: 1 }],
    ['full', { available: 0, inFlight: 200 }],
  ]
  for (const [state, facts, { isDrained = false, isBanned = false } = {}] of cases) {
    const view = agentView(entryOf(facts, isDrained), { ban: isBanned ? ban : undefined, note: NOTE })
    assert.equal(view.state, state, JSON.stringify(facts))
    assert.equal(view.reason === '', state === 'ready', 'every other state has its reason')
  }
  const counted = {
    breakerRetryMs: 1,
    connectionErrors: 2,
    lost: 3,
    retired: 4,
    pauses: 5,
    resumes: 6,
    flowRejections: 7,
    overflows: 8,
    queueMsTotal: 9,
    bodyBytesInFlight: 10,
  }
  const view = agentView(entryOf(counted, false), { ban: undefined, note: NOTE })
  for (const [name, value] of Object.entries(counted))
    assert.equal(view[name as keyof typeof counted], value, name)
})

test('an ejected connection is shown as such for its pause, and without any traffic as on trial from then on', async (t) => {
  const { pool, lease, pass } = await startedPool({ connections: 2 })
  const config = await agentConfig(t)
  const [failing, other] = [lease(), lease()]
  other.release('replied', 1)
  failing.release('timeout', 1)
  for (let failures = 1; failures < 3; ) {
    const leased = lease()
    if (leased.id === failing.id) failures++
    leased.release(leased.id === failing.id ? 'timeout' : 'replied', 1)
  }
  const stateNow = (): string | undefined =>
    connectionViews({ config, pool, isDrained: false }).find(({ id }) => id === failing.id)?.state
  assert.equal(stateNow(), 'ejected')
  await pass(2000)
  assert.equal(stateNow(), 'trial')
  await pass(3_600_000)
  assert.equal(stateNow(), 'trial')
})
