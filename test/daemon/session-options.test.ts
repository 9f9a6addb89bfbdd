import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConnectionView, SessionsView } from '../../src/admin/views.ts'
import { storedSessions } from '../../src/daemon/storage.ts'
import { commandsOf } from '../cli/support.ts'
import { openStore } from '../store/support.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type Daemon, Place } from './harness.ts'

const AGENTS = `{
  keeps: { endpoint: "unix:./keeps.sock", connections: 3, maxBurst: 1, sessions: { idleTtlMs: 0 } },
  spreads: { endpoint: "unix:./spreads.sock", connections: 3, maxBurst: 1, sessions: { maxSessions: 0 } }
}`
const REQUESTS = 9

/** Connections of the agent that carried an event. */
async function used(daemon: Daemon, agent: string): Promise<number> {
  const { text } = await daemon.admin(`/v1/connections?agent=${agent}`)
  return (JSON.parse(text) as ConnectionView[]).filter(({ events }) => events > 0).length
}

test('an agent keeps sessions without an end over a restart, and another one of the same requests keeps none', async (t) => {
  const place = await Place.make(t)
  await place.agent('keeps')
  await place.agent('spreads')
  await place.configure(AGENTS, 'keeps, spreads', 'sessionKey: cookie:sid')
  let daemon = await place.serve('--wait-for-agents', '5000')
  await daemon.untilReady()
  for (let n = 0; n < REQUESTS; n++)
    assert.equal((await daemon.get('/', { cookie: 'sid=alice' })).status, 200)
  assert.deepEqual([await used(daemon, 'keeps'), await used(daemon, 'spreads')], [1, 3])

  daemon.process.child.kill('SIGTERM')
  assert.equal(await daemon.process.ended(), 0)
  daemon = await place.serve('--wait-for-agents', '5000')
  const { agents } = JSON.parse((await daemon.admin('/v1/sessions')).text) as SessionsView
  assert.deepEqual(agents, [{ agent: 'keeps', sessions: 1, maxSessions: 100_000, idleTtlMs: 0 }])
  assert.match((await commandsOf(place)('sessions')).text, /^keeps +1 +100000 +never$/m)
  const refusal = await daemon.admin('/v1/agents/spreads/sessions')
  assert.equal(refusal.status, 400)
  assert.match(
    refusal.text,
    /agent spreads keeps no sessions: its sessions\.maxSessions is 0; give it a number/,
  )
})

test('stored sessions keep their last use while they never end, and start over when that changes', async (t) => {
  const store = await openStore(t)
  const clock = new FakeClock()
  let idleTtlMs = Number.POSITIVE_INFINITY
  const sessions = storedSessions(store, clock, () => idleTtlMs)
  const usedAtMs = clock.wallMs() - 40 * 86_400_000
  const row = { key: 'alice', home: 'unix:waf', createdAtMs: usedAtMs, lastUsedAtMs: usedAtMs }
  await sessions.saveBatch('waf', { saved: [row], removed: [] })
  assert.deepEqual(await sessions.load('waf'), [row])

  idleTtlMs = 300_000
  await sessions.saveBatch('waf', { saved: [{ ...row, lastUsedAtMs: clock.wallMs() - 1000 }], removed: [] })
  idleTtlMs = Number.POSITIVE_INFINITY
  const [before] = await sessions.load('waf')
  assert.equal(before?.lastUsedAtMs, clock.wallMs())
})
