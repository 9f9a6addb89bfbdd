import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { frame } from '../transport/support/raw-peer.ts'

/* A process that has no file descriptor left cannot accept: the error comes back at once, again and again. */

/** Descriptors the agent may have: what Node needs, and a few connections. */
const MAX_FILES = 64
const CALLERS = 100
const WATCHED_MS = 600
/** Ticks of processor time per second, as Linux counts them in /proc. */
const TICKS = 100
const JUDGE = fileURLToPath(new URL('../integration/programs/judge.js', import.meta.url))

async function agentWithFewFiles(t: TestContext, args: readonly string[]): Promise<[ChildProcess, string]> {
  const command = ['-c', `ulimit -n ${MAX_FILES}; exec "$0" "$@"`, process.execPath, JUDGE, ...args]
  const child = spawn('sh', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise((resolve) => child.once('close', resolve))
  t.after(async () => {
    child.kill('SIGKILL')
    await ended
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  await eventually('the agent listens', () => said.includes('ready'), 10_000)
  return [child, /ready (\d+)/.exec(said)?.[1] ?? '']
}

/** Processor time that a process has used, milliseconds. */
function busyMs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const facts = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(facts[11]) + Number(facts[12])) * 1000) / TICKS
}

const HELLO = frame(0x01, { supported_versions: [2], proxy_id: 'p', proxy_version: '1', config: null })
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0')

/** Whether a new caller is answered; one that comes before the others are gone may be hung up on. */
async function answers(where: NetConnectOpts, greeting: Buffer): Promise<boolean> {
  const socket = connect(where)
  const isAnswered = await new Promise<boolean>((resolve) => {
    socket
      .on('error', () => {})
      .once('data', () => resolve(true))
      .once('close', () => resolve(false))
    socket.write(greeting)
  })
  socket.destroy()
  return isAnswered
}

for (const kind of ['uds', 'grpc'] as const) {
  test(`${kind}: a listener that has no file descriptor left neither spins nor ends, and serves again`, async (t) => {
    const path = join(await temporaryFolder(t), 'a.sock')
    const [child, port] = await agentWithFewFiles(t, [kind, kind === 'uds' ? path : '127.0.0.1:0'])
    const where: NetConnectOpts = kind === 'uds' ? { path } : { host: '127.0.0.1', port: Number(port) }
    const callers: Socket[] = []
    let refused = 0
    t.after(() => {
      for (const socket of callers) socket.destroy()
    })
    for (let n = 0; n < CALLERS; n++)
      callers.push(
        connect(where)
          .on('error', () => {})
          .once('close', () => refused++)
          .resume(),
      )
    await eventually('it has no place for some of them', () => refused > 0)
    const before = busyMs(child.pid!)
    await new Promise((resolve) => setTimeout(resolve, WATCHED_MS))
    const busy = busyMs(child.pid!) - before
    assert.ok(busy < WATCHED_MS / 4, `it worked ${busy} of ${WATCHED_MS} ms while nothing could be done`)
    assert.equal(child.exitCode, null)
    for (const socket of callers) socket.destroy()
    await eventually('the next caller is served', () => answers(where, kind === 'uds' ? HELLO : PREFACE))
  })
}
