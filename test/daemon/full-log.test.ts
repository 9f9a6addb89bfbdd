import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import { httpCall } from '../support/http-call.ts'
import { Place } from './harness.ts'

const WEIR = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

test('a full disk under the log costs log lines, not requests, and signals still work', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf')
  await place.configure('{ waf: { endpoint: unix:./waf.sock } }', 'waf')
  const full = openSync('/dev/full', 'w')
  const weir = spawn(process.execPath, [WEIR, 'serve', '-c', place.file], {
    cwd: place.folder,
    stdio: ['ignore', full, 'pipe'],
  })
  t.after(() => weir.kill('SIGKILL'))
  let complaints = ''
  weir.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const status = async (): Promise<{
    listeners: { option: string; address: string }[]
    isReady: boolean
  }> => {
    const headers = { 'x-weir-admin': '1' }
    const answer = await httpCall({ socketPath: place.socket('admin'), path: '/v1/status', headers })
    return JSON.parse(answer.text)
  }
  await eventually(
    'it is ready',
    async () => (await status().catch(() => undefined))?.isReady === true,
    15_000,
  )
  const { listeners } = await status()
  const port = Number(
    listeners
      .find(({ option }) => option === 'listen.http')!
      .address.split(':')
      .at(-1),
  )
  for (let n = 0; n < 50; n++) assert.equal((await httpCall({ port, path: `/${n}` })).status, 200)
  await eventually('it complained', () => complaints !== '')
  assert.match(complaints, /log lines are being lost: ENOSPC/)
  assert.equal(complaints.match(/being lost/g)?.length, 1, 'said once')
  const ended = once(weir, 'exit')
  weir.kill('SIGTERM')
  const [code] = (await ended) as [number | null]
  assert.equal(code, 0)
})
