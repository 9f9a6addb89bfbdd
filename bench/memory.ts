import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../src/core/agent-messages.ts'
import { WeirError } from '../src/core/errors.ts'
import { plainAllow } from '../src/core/reply.ts'
import type { AgentEndOptions } from '../src/transport/proxy-link.ts'
import { dialReverse } from '../src/transport/reverse/reverse-dialer.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { program, udsAgent } from './harness/agents.ts'
import { collector } from './harness/collector.ts'
import { openLoop } from './harness/load.ts'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

const EVENTS_PER_SECOND = 5000
/** The soak looks at heaps, not at latencies: its generator need not keep a core busy. */
const REST_MS = 1
/** Events that wait for an answer at which the soak skips some: a starved machine must not be taken for a leak. */
const MAX_OPEN = 500
/** Seconds of the soak; the goal speaks of an hour: WEIR_BENCH_SOAK_S=3600. */
const SOAK_SECONDS = Number(process.env['WEIR_BENCH_SOAK_S'] ?? 120)

/** Beside a bare socket, what an idle connection may cost. */
const IDLE_GOAL = 2

/** What an idle reverse connection costs beside a bare socket, and whether the heap grows under a steady load. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const rows = await idleRows(quick)
  rows.push(await soak(quick ? 2 : SOAK_SECONDS))
  return { bench: 'memory', rows }
}

/** Bytes per connection. */
interface Cost {
  /** On the JavaScript heap, buffers included. */
  readonly heap: number
  /** Of all memory of the process, native parts of sockets included; the kernel's own are not. */
  readonly process: number
}

/*
 * Two readings, each with its row. The heap alone is exact and the stricter one, as half of what a bare socket costs
 * lies outside of it; what an operator pays is the process. `fresh` connections only registered; `rested` ones
 * carried an event before, and then a heartbeat.
 */
async function idleRows(quick: boolean): Promise<Row[]> {
  const connections = quick ? 100 : 6000
  const rows: Row[] = []
  for (const when of ['fresh', 'rested'] as const) {
    const results = await interleave(quick ? 1 : 3, {
      bare: () => cost('bare', when, connections),
      weir: () => cost('weir', when, connections),
    })
    for (const what of ['heap', 'process'] as const) {
      const [weir, bare] = [results['weir']!, results['bare']!].map((all) => all.map((one) => one[what]))
      const detail = { 'weir bytes': median(weir!), 'bare bytes': median(bare!), connections }
      const name = `idle reverse connection, ${when}: ${what}`
      rows.push(row(name, pairedRatio(weir!, bare!), IDLE_GOAL, detail, true))
    }
  }
  return rows
}

/**
 * What each of `connections` more costs once as many are there: pools of buffers and compiled code have grown by then,
 * and tables that double are as full as before.
 */
async function cost(kind: 'bare' | 'weir', when: 'fresh' | 'rested', connections: number): Promise<Cost> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const path = join(folder, 'idle.sock')
  const host = new BenchProcess(process.execPath, ['--expose-gc', program('idle-host'), kind, path])
  await host.line(/^ready$/)
  const closers: (() => void)[] = []
  const filled = async (): Promise<Cost> => {
    closers.push(...(await open(kind, path, connections)))
    const fresh = await used(host, closers.length)
    return when === 'fresh' ? fresh : usedAfterWork(host)
  }
  const before = await filled()
  const after = await filled()
  for (const close of closers) close()
  await host.stop()
  rmSync(folder, { recursive: true, force: true })
  return {
    heap: (after.heap - before.heap) / connections,
    process: (after.process - before.process) / connections,
  }
}

async function used(host: BenchProcess, connections = 0): Promise<Cost> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [, heap, rss, count] = await told(host, 'used', /^used (\d+) (\d+) (\d+)$/)
    if (Number(count) >= connections) return { heap: Number(heap), process: Number(rss) }
  }
  throw new Error(`fewer than ${connections} connections came up`)
}

async function usedAfterWork(host: BenchProcess): Promise<Cost> {
  await told(host, 'work', /^done$/)
  await told(host, 'rest', /^done$/)
  return used(host)
}

function told(host: BenchProcess, command: string, answer: RegExp): Promise<RegExpExecArray> {
  host.forget()
  host.tell(command)
  return host.line(answer, 60_000)
}

/** Opens connections that answer whatever the host asks; returns what closes each. */
async function open(kind: 'bare' | 'weir', path: string, count: number): Promise<(() => void)[]> {
  const closers: (() => void)[] = []
  for (let n = 0; n < count; n++) {
    if (kind === 'bare') {
      const socket = connect(path)
      await once(socket, 'connect')
      /* As long as a registration. */
      socket.write('hello'.padEnd(600))
      await once(socket, 'data')
      socket.on('data', (data) => socket.write(data))
      closers.push(() => socket.destroy())
    } else {
      const link = await dialReverse(`unix:${path}`, { agentId: 'idle', agent: AGENT })
      closers.push(() => link.destroy(new WeirError('CANCELLED', 'the benchmark is over')))
    }
  }
  return closers
}

const AGENT: AgentEndOptions = {
  capabilities: () => ({
    protocolVersion: 2,
    agentId: 'idle',
    name: 'idle',
    version: '1',
    supportedEvents: ['request-headers'],
    features: DEFAULT_FEATURES,
    limits: DEFAULT_LIMITS,
    health: DEFAULT_HEALTH_REPORTING,
  }),
  handler: {
    onEvent: (event, link) => link.reply(plainAllow(event.correlationId)),
    onMalformedEvent: (_id, error) => {
      throw error
    },
    onCancel: () => undefined,
    onConfigure: async () => undefined,
    onOpen: () => undefined,
    onClosed: () => undefined,
  },
}

async function soak(seconds: number): Promise<Row> {
  const collect = collector()
  const heap = (): number => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const early = Math.max(1, Math.min(60, seconds / 10))
  let open = 0
  let skipped = 0
  const request = async (): Promise<boolean> => {
    if (open >= MAX_OPEN) {
      skipped++
      return true
    }
    open++
    const isDone = await weir.request()
    open--
    return isDone
  }
  await openLoop(request, EVENTS_PER_SECOND, early * 1000, REST_MS)
  const first = heap()
  const figures = await openLoop(request, EVENTS_PER_SECOND, (seconds - early) * 1000, REST_MS)
  const last = heap()
  await weir.close()
  await agent.stop()
  if (figures.failed > 0) throw new Error(`${figures.failed} requests failed`)
  const detail = {
    [`heap after ${early} s`]: first,
    [`after ${seconds} s`]: last,
    'events/s': Math.round(EVENTS_PER_SECOND - skipped / seconds),
  }
  return row('heap growth under load', last / first, 1.1, detail, true)
}
