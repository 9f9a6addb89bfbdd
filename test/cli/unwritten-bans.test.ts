import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentView, BanChangeView, BanView } from '../../src/admin/views.ts'
import { Place } from '../daemon/harness.ts'
import { holdWriteLock } from '../store/support.ts'
import { eventually } from '../support/eventually.ts'
import { commandsOf, parsed } from './support.ts'

const AGENTS = '{ waf: { endpoint: "unix:./waf.sock" } }'

test('a ban under a locked database is shown as not on disk yet, then written, and outlasts a kill', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure(AGENTS, 'waf', 'storage: { path: ./weir.db }')
  const daemon = await place.serve('--wait-for-agents', '5000')
  const weir = commandsOf(place)
  const bans = async (): Promise<BanView | undefined> =>
    (JSON.parse((await daemon.admin('/v1/bans')).text) as BanView[])[0]
  const release = await holdWriteLock(t, join(place.folder, 'weir.db'))
  const refused = await weir('ban', 'waf', '--reason', 'L', '--author', 'ada')
  assert.equal(refused.code, 1)
  assert.match(refused.text, /in force in this process only, it was not written: .*once the store answers/)
  assert.match((await weir('bans')).text, /^AGENT .*ON DISK +REASON\nwaf .*ada +not on disk yet +L\n$/)
  assert.equal((await bans())?.isWritten, false)
  assert.equal(
    (JSON.parse((await daemon.admin('/v1/agents')).text) as AgentView[])[0]?.reason,
    'by ada until unban (not on disk yet): L',
  )
  const lift = await weir('unban', 'waf')
  assert.equal(lift.code, 1)
  assert.match(lift.text, /ban of "waf" stays in force, its lift was not written/)
  await release()
  await eventually('the ban is on disk', async () => (await bans())?.isWritten === true, 15_000)
  assert.match((await weir('bans')).text, /^AGENT +SINCE +UNTIL +BY +REASON\nwaf .*ada +L\n$/)
  const before = await bans()
  const [change, ...more] = parsed<BanChangeView[]>(await weir('bans', '--history', '--json'))
  assert.deepEqual(
    [change?.action, change?.author, change?.at, more.length],
    ['ban', 'ada', before?.since, 0],
  )
  daemon.process.child.kill('SIGKILL')
  await daemon.process.ended()
  await place.serve()
  assert.deepEqual(parsed<BanView[]>(await weir('bans', '--json'))[0], before)
})
