import assert from 'node:assert/strict'
import { existsSync, lstatSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { listenUds } from '../../src/transport/uds/uds-listener.ts'
import { failureOf } from '../conformance/support/observed.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { HANDSHAKE, never } from '../conformance/support/transports.ts'
import { startProcess } from '../support/running-process.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const { options } = new ScriptedAgent()

test('a socket file has the mode asked for, and only ours before', async (t) => {
  const folder = await temporaryFolder(t)
  const before = process.umask(0o000)
  t.after(() => process.umask(before))
  for (const mode of [undefined, 0o600, 0o660]) {
    const path = join(folder, `m${mode ?? 0}`)
    const listener = await listenUds(path, options, mode === undefined ? {} : { mode })
    assert.equal(statSync(path).mode & 0o777, mode ?? 0o600)
    await listener.close()
  }
})

test('nothing but the socket is left in its folder, and nothing once it is closed', async (t) => {
  const folder = await temporaryFolder(t)
  const listener = await listenUds(join(folder, 'a.sock'), options)
  assert.deepEqual(readdirSync(folder), ['a.sock'])
  await Promise.all([listener.close(), listener.close()])
  assert.deepEqual(readdirSync(folder), [])
})

/** Serves two sockets, lets the first be another's, and exits as asked. */
const EXITS = `
const [module, folder, how] = process.argv.slice(1)
const { serveUds } = await import(module)
const fs = await import('node:fs')
for (const name of ['theirs', 'ours']) await serveUds(folder + '/' + name, { name: 'waf' })
fs.renameSync(folder + '/theirs', folder + '/moved')
fs.writeFileSync(folder + '/theirs', '')
if (how === 'throw') setImmediate(() => { throw new Error('uncaught') })
else process.exit(3)
`

for (const [how, code] of [
  ['exit', 3],
  ['throw', 1],
] as const)
  test(`a process that ends by ${how} without closing leaves no socket of its own, and every other file`, async (t) => {
    const folder = await temporaryFolder(t)
    const sdk = new URL('../../src/sdk/serve.js', import.meta.url).href
    const child = startProcess(t, ['--input-type=module', '-e', EXITS, sdk, folder, how])
    assert.equal(await child.ended(), code, child.output())
    assert.deepEqual(readdirSync(folder).sort(), ['moved', 'theirs'])
  })

test('a socket nobody listens on is replaced', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a.sock')
  const dead = createServer()
  await new Promise<void>((resolve) => dead.listen(join(folder, 'x'), resolve))
  /* Closing would unlink the name it was bound to. */
  renameSync(join(folder, 'x'), path)
  await new Promise((resolve) => dead.close(resolve))
  assert.ok(lstatSync(path).isSocket())
  const listener = await listenUds(path, options)
  const connection = await udsDialer(path, HANDSHAKE).dial(never())
  await connection.close()
  await listener.close()
  assert.deepEqual(readdirSync(folder), [])
})

test('a socket in use is never taken over', async (t) => {
  const path = join(await temporaryFolder(t), 'a.sock')
  const first = await listenUds(path, options)
  t.after(() => first.close())
  const error = await failureOf(() => listenUds(path, options))
  assert.equal(error.code, 'CONFLICT')
  const connection = await udsDialer(path, HANDSHAKE).dial(never())
  await connection.close()
})

test('a file that is no socket is never removed', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'precious.sock')
  writeFileSync(path, 'data')
  const error = await failureOf(() => listenUds(path, options))
  assert.equal(error.code, 'CONFLICT')
  assert.match(error.message, /precious\.sock/)
  assert.deepEqual(readdirSync(folder), ['precious.sock'])
})

test('closing does not unlink the socket of a successor', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a.sock')
  const first = await listenUds(path, options)
  renameSync(path, join(folder, 'old'))
  const second = await listenUds(path, options)
  await first.close()
  assert.ok(existsSync(path))
  const connection = await udsDialer(path, HANDSHAKE).dial(never())
  await connection.close()
  await second.close()
  assert.equal(existsSync(path), false)
})

test('of several that start at once on one path exactly one wins', async (t) => {
  const path = join(await temporaryFolder(t), 'a.sock')
  const all = await Promise.allSettled(Array.from({ length: 6 }, () => listenUds(path, options)))
  const winners = all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  assert.equal(winners.length, 1)
  const connection = await udsDialer(path, HANDSHAKE).dial(never())
  await connection.close()
  await winners[0]!.close()
})

test('a path in a folder that does not exist, or too long, is named in the error', async (t) => {
  const folder = await temporaryFolder(t)
  const missing = join(folder, 'no', 'a.sock')
  assert.match((await failureOf(() => listenUds(missing, options))).message, /no\/a\.sock/)
  const long = join(folder, 'x'.repeat(100))
  assert.equal((await failureOf(() => listenUds(long, options))).code, 'INVALID_ARGUMENT')
})
