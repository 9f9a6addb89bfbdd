import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { program } from '../harness/agents.ts'
import { freePort } from '../harness/free-port.ts'
import { BenchProcess } from '../harness/process.ts'

const DIST = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const TOKEN = 'bench'

/** The shipped daemon with a route without agents, one with one agent, and one with the demo's three. */
export interface Daemon {
  readonly none: string
  readonly one: string
  readonly three: string
  stop(): Promise<void>
}

/** Every agent and the daemon in a process of its own; metrics on, access lines off. */
export async function startDaemon(upstream: string): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const [http, waf] = [await freePort(), await freePort()]
  const file = join(folder, 'weir.yaml')
  writeFileSync(file, config(folder, http, waf, upstream))
  const demo = (name: string, env: Readonly<Record<string, string>>): BenchProcess =>
    new BenchProcess(process.execPath, [join(DIST, 'deploy', 'demo', 'agents', `${name}.js`)], env)
  const processes = [
    new BenchProcess(process.execPath, [program('agent'), 'uds', join(folder, 'one.sock')]),
    demo('waf', { WEIR_DEMO_WAF_PORT: String(waf) }),
    demo('auth', { WEIR_DEMO_AUTH_SOCKET: join(folder, 'auth.sock') }),
    demo('pii', { WEIR_DEMO_REVERSE_SOCKET: join(folder, 'agents.sock'), WEIR_DEMO_PII_TOKEN: TOKEN }),
  ]
  const weir = join(DIST, 'src', 'cli', 'main.js')
  processes.push(
    new BenchProcess(process.execPath, [weir, 'serve', '-c', file, '--wait-for-agents', '10000']),
  )
  const origin = `http://127.0.0.1:${http}`
  await answering(`${origin}/three/`)
  return {
    none: `${origin}/none/`,
    one: `${origin}/one/`,
    three: `${origin}/three/`,
    async stop() {
      await Promise.all(processes.map((child) => child.stop()))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function config(folder: string, http: number, waf: number, upstream: string): string {
  const hash = createHash('sha256').update(TOKEN).digest('hex')
  const body = '{ mode: buffer, maxBytes: 1048576, onTooLarge: reject }'
  return `
listen:
  http: 127.0.0.1:${http}
  reverse: [unix:${folder}/agents.sock]
  admin: unix:${folder}/admin.sock
storage: { path: ${folder}/weir.db }
log: { level: warn }
agents:
  one: { endpoint: unix:${folder}/one.sock }
  waf: { endpoint: grpc://127.0.0.1:${waf}, events: [request-headers, request-body], body: ${body} }
  auth: { endpoint: unix:${folder}/auth.sock }
  pii: { reverse: { tokenSha256: ${hash} }, events: [response-headers, response-body], body: ${body} }
routes:
  - { match: { path: /none/* }, upstream: '${upstream}', agents: [] }
  - { match: { path: /one/* }, upstream: '${upstream}', agents: [one] }
  - { match: { path: /three/* }, upstream: '${upstream}', agents: [auth, waf, pii] }
`
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(url).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} did not come up`)
}
