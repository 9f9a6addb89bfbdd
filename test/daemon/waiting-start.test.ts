import assert from 'node:assert/strict'
import { chmod, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentView, StatusView } from '../../src/admin/views.ts'
import { VERSION } from '../../src/core/version.ts'
import { eventually } from '../support/eventually.ts'
import { httpCall } from '../support/http-call.ts'
import { Place } from './harness.ts'

const ABSENT = '{ waf: { endpoint: "unix:./waf.sock" } }'

test('a start that waits for agents ends at SIGTERM, without having served', async (t) => {
  const place = await Place.make(t)
  await place.configure(ABSENT, 'waf')
  const weir = place.weir('serve', '-c', place.file, '--wait-for-agents', '60000')
  await eventually('the admin API is open', () => isOpen(place), 20_000)
  weir.child.kill('SIGTERM')
  assert.equal(await weir.ended(10_000), 0)
  assert.match(weir.output(), /SIGTERM: draining/)
  assert.doesNotMatch(weir.output(), /"event":"serving"|listen\.http is open/)
})

test('a reload that is asked for while agents are waited for is done afterwards', async (t) => {
  const place = await Place.make(t)
  await place.configure(ABSENT, 'waf')
  const weir = place.weir('serve', '-c', place.file, '--wait-for-agents', '60000')
  await eventually('the admin API is open', () => isOpen(place), 20_000)
  await place.configure(
    '{ waf: { endpoint: "unix:./waf.sock", timeoutMs: 900 }, b: { reverse: { allowAnonymous: true } } }',
    'waf',
  )
  weir.child.kill('SIGHUP')
  await place.agent('waf')
  await weir.said(/"event":"serving"/)
  await eventually('the new agent is known', async () => {
    const { text } = await httpCall({ socketPath: place.socket('admin'), path: '/v1/status' })
    return (JSON.parse(text) as StatusView).agents.total === 2
  })
})

test("a new database is its owner's alone, with its log and index; an old one keeps its mode", async (t) => {
  const place = await Place.make(t)
  await place.configure('{}', '')
  const modes = async (): Promise<string[]> =>
    Promise.all(
      ['', '-wal', '-shm'].map(async (end) =>
        ((await stat(join(place.folder, `weir.db${end}`))).mode & 0o777).toString(8),
      ),
    )
  const first = await place.serve()
  await first.admin('/v1/bans/waf', 'DELETE')
  assert.deepEqual(await modes(), ['600', '600', '600'])
  first.process.child.kill('SIGTERM')
  await first.process.ended()
  await chmod(join(place.folder, 'weir.db'), 0o640)
  const second = await place.serve()
  await second.admin('/v1/bans/waf', 'DELETE')
  assert.deepEqual(await modes(), ['640', '640', '640'])
})

test('an agent without a version of its own shows that of the SDK', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.agent('auth', { version: '7.1' })
  await place.configure(
    '{ waf: { endpoint: "unix:./waf.sock" }, auth: { endpoint: "unix:./auth.sock" } }',
    'waf',
  )
  const daemon = await place.serve('--wait-for-agents', '5000')
  const views = JSON.parse((await daemon.admin('/v1/agents')).text) as AgentView[]
  assert.deepEqual(
    views.map(({ software }) => software),
    [`waf ${VERSION}`, 'auth 7.1'],
  )
  assert.match(VERSION, /^\d+\.\d+\.\d+/)
})

async function isOpen(place: Place): Promise<boolean> {
  try {
    return (await httpCall({ socketPath: place.socket('admin'), path: '/healthz' })).status === 200
  } catch {
    return false
  }
}
