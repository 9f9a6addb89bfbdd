import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../src/core/agent-messages.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { ByteWriter } from '../src/wire/byte-writer.ts'
import { udsAgentCodec } from '../src/wire/uds/agent-codec.ts'
import { program, udsAgent } from './harness/agents.ts'
import { openLoop } from './harness/load.ts'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

const EVENTS_PER_SECOND = 5000
/** Seconds of the soak; the goal speaks of an hour: WEIR_BENCH_SOAK_S=3600. */
const SOAK_SECONDS = Number(process.env['WEIR_BENCH_SOAK_S'] ?? 120)

/** What an idle reverse connection costs beside a bare socket, and whether the heap grows under a steady load. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const connections = quick ? 100 : 3000
  const bare = await bytesPerConnection('bare', connections)
  const weir = await bytesPerConnection('weir', connections)
  const detail = { 'weir bytes': weir, 'bare bytes': bare }
  const rows: Row[] = [row('idle reverse connection', weir / bare, 2, detail, true)]
  rows.push(await soak(quick ? 2 : SOAK_SECONDS))
  return { bench: 'memory', rows }
}

async function bytesPerConnection(kind: 'bare' | 'weir', connections: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const path = join(folder, 'idle.sock')
  const host = new BenchProcess(process.execPath, ['--expose-gc', program('idle-host'), kind, path])
  await host.line(/^ready$/)
  const warm = await open(kind, path, 50)
  const before = await used(host, 50)
  const sockets = await open(kind, path, connections)
  const after = await used(host, 50 + connections)
  for (const socket of [...warm, ...sockets]) socket.destroy()
  await host.stop()
  rmSync(folder, { recursive: true, force: true })
  return (after - before) / connections
}

async function used(host: BenchProcess, connections: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    host.forget()
    host.tell('')
    const [, bytes, , count] = await host.line(/^used (\d+) (\d+) (\d+)$/)
    if (Number(count) >= connections) return Number(bytes)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`fewer than ${connections} connections came up`)
}

async function open(kind: 'bare' | 'weir', path: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  for (let n = 0; n < count; n++) {
    const socket = connect(path)
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    if (kind === 'weir') {
      socket.write(registration())
      await new Promise((resolve) => socket.once('data', resolve))
    }
    sockets.push(socket)
  }
  return sockets
}

function registration(): Buffer {
  const out = new ByteWriter()
  udsAgentCodec().writeRegistration(
    {
      protocolVersion: 2,
      agentId: 'idle',
      capabilities: {
        protocolVersion: 2,
        agentId: 'idle',
        name: 'idle',
        version: '1',
        supportedEvents: ['request-headers'],
        features: DEFAULT_FEATURES,
        limits: DEFAULT_LIMITS,
        health: DEFAULT_HEALTH_REPORTING,
      },
    },
    out,
  )
  return Buffer.from(out.bytes.subarray(0, out.end))
}

async function soak(seconds: number): Promise<Row> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heap = (): number => {
    collect()
    collect()
    return process.memoryUsage().heapUsed
  }
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const early = Math.max(1, Math.min(60, seconds / 10))
  await openLoop(weir.request, EVENTS_PER_SECOND, early * 1000)
  const first = heap()
  const figures = await openLoop(weir.request, EVENTS_PER_SECOND, (seconds - early) * 1000)
  const last = heap()
  await weir.close()
  await agent.stop()
  if (figures.failed > 0) throw new Error(`${figures.failed} requests failed`)
  const detail = {
    [`heap after ${early} s`]: first,
    [`after ${seconds} s`]: last,
    'events/s': EVENTS_PER_SECOND,
  }
  return row('heap growth under load', last / first, 1.1, detail, true)
}
