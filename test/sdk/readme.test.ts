import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Connection } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { ask, HANDSHAKE } from '../support/asking.ts'
import { eventually } from '../support/eventually.ts'
import { bodyChunk, requestComplete, requestHeaders, SAMPLE_METADATA } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

/* The compiled test lies in dist/test/sdk. */
const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../../..')

/** The examples by name. */
async function examples(): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(root, 'src/sdk/README.md'), 'utf8')
  const found = [...text.matchAll(/^```ts example=(\S+)\n(.*?)^```$/gms)]
  return new Map(found.map(([, name, code]) => [name!, code!]))
}

/** Compiles the examples inside the package, where `weir` means the package itself. Returns the folder. */
async function compiled(t: TestContext, replacements: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(here, 'readme-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const options = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023'],
    types: ['node'],
    strict: true,
    noImplicitReturns: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
  }
  await writeFile(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: options, include: ['*.ts'] }),
  )
  for (const [name, code] of await examples()) {
    let text = code
    for (const [from, to] of Object.entries(replacements)) text = text.replaceAll(from, to)
    await writeFile(join(folder, `${name}.ts`), text)
  }
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => {
    throw new Error(`the examples of src/sdk/README.md do not compile:\n${error.stdout}`)
  })
  return folder
}

/** Runs one compiled example; `line` waits for a line of its output. */
function run(t: TestContext, folder: string, name: string, env: Record<string, string> = {}) {
  const child: ChildProcess = spawn(process.execPath, [join(folder, `${name}.js`)], {
    env: { ...process.env, ...env },
  })
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
  const line = async (pattern: RegExp): Promise<string> => {
    await eventually(`${name} prints ${pattern.source}; it printed: ${out}`, () => pattern.test(out), 10_000)
    return pattern.exec(out)![1] ?? ''
  }
  return { child, line }
}

test('the examples in the README compile in strict mode and work against a real proxy end', async (t) => {
  const sockets = await temporaryFolder(t)
  const folder = await compiled(t, {
    '127.0.0.1:50061': '127.0.0.1:0',
    '/run/weir/agents.sock': join(sockets, 'agents.sock'),
    '/run/pii.sock': join(sockets, 'pii.sock'),
  })
  const dial = async (connection: Promise<Connection>): Promise<Connection> => {
    const made = await connection
    t.after(() => made.close())
    return made
  }
  const signal = AbortSignal.timeout(10_000)

  const waf = run(t, folder, 'grpc')
  const overGrpc = await dial(grpcDialer(await waf.line(/serving on (\S+)/), HANDSHAKE).dial(signal))
  const scanner = await ask(overGrpc, requestHeaders('a', { headers: ['user-agent', 'sqlmap/1.7'] }))
  assert.equal(scanner.decision.kind === 'block' && scanner.decision.status, 403)
  const browser = await ask(overGrpc, requestHeaders('b', { headers: ['user-agent', 'curl'] }))
  assert.equal(browser.requestHeaders[0]?.name, 'x-inspected')
  waf.child.kill('SIGTERM')
  await eventually('the agent closes and its process ends', () => waf.child.exitCode === 0)

  const pii = run(t, folder, 'uds')
  const path = (await pii.line(/serving on (\S+)/)).replace('unix:', '')
  const overSocket = await dial(udsDialer(path, HANDSHAKE).dial(signal))
  const response = { kind: 'response-body-chunk' } as const
  const card = await ask(overSocket, bodyChunk('a', 'card 4111111111111111', response))
  assert.equal(Buffer.from(card.responseBodyMutation!.data!).toString(), 'card ****')
  await ask(overSocket, requestComplete('a'))
  await pii.line(/masked (1) chunks/)

  const dialed: Connection[] = []
  const listener = await listenReverse(`unix:${join(sockets, 'agents.sock')}`, {
    proxyId: 'weir',
    proxyVersion: '0.1.0',
    admit: (request) =>
      request.authToken === 't0ken' ? { isAdmitted: true, connectionId: 'c' } : { isAdmitted: false },
    onConnection: (connection) => void dialed.push(connection),
  })
  t.after(() => listener.close())
  run(t, folder, 'dial-in', { WEIR_AGENT_TOKEN: 't0ken' })
  await eventually('both connections are up', () => dialed.length === 2, 10_000)
  await dialed[0]!.configure([SAMPLE_METADATA.clientIp], undefined, 5000)
  assert.equal((await ask(dialed[1]!, requestHeaders('a'))).decision.kind, 'block')
  await assert.rejects(dialed[0]!.configure('everyone', undefined, 5000), /expected a list of addresses/)
})

test('every example of the README has a name', async () => {
  const text = await readFile(join(root, 'src/sdk/README.md'), 'utf8')
  assert.equal((await examples()).size, text.split('\n```ts').length - 1)
  assert.ok((await examples()).size >= 4)
})
