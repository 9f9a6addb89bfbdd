import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Dialer } from '../src/transport/connection.ts'
import { grpcDialer } from '../src/transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { freePort } from './harness/free-port.ts'
import { closedLoop } from './harness/load.ts'
import { BenchProcess } from './harness/process.ts'
import { type ReferenceFigures, referenceFigures, referencePeers } from './harness/reference-peers.ts'
import { type BenchOptions, type BenchResult, notRun, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRange, pairedRatio } from './harness/statistics.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

interface Wire {
  readonly name: string
  readonly agentArgs: readonly string[]
  /** As the reference pool names it. */
  readonly endpoint: string
  readonly dialer: () => Dialer
  readonly goals: Readonly<Record<number, number>>
}

const IN_FLIGHT = [1, 8, 64, 256] as const
const GOALS = { 1: 0.6, 8: 1.0, 64: 1.1, 256: 1.1 }

/** Our pool beside the reference pool (one thread), both against the reference agent, in turn. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const peers = referencePeers()
  if (typeof peers === 'string') return { bench: 'pool-peer', rows: [notRun('all', 1.1, peers)] }
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const rows: Row[] = []
  try {
    for (const wire of wires(folder, await freePort())) {
      const agent = new BenchProcess(peers.agent, wire.agentArgs)
      await sleep(300)
      for (const inFlight of quick ? [8] : IN_FLIGHT) {
        rows.push(...(await compare(wire, inFlight, peers.pool, quick)))
      }
      await agent.stop()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { bench: 'pool-peer', rows }
}

function wires(folder: string, port: number): readonly Wire[] {
  const json = join(folder, 'json.sock')
  const msgpack = join(folder, 'msgpack.sock')
  return [
    {
      name: 'uds-json',
      agentArgs: ['uds', json],
      endpoint: `unix:${json}`,
      dialer: () => udsDialer(json, HANDSHAKE),
      goals: GOALS,
    },
    {
      name: 'uds-msgpack',
      agentArgs: ['uds', msgpack],
      endpoint: `unix:${msgpack}`,
      dialer: () => udsDialer(msgpack, HANDSHAKE, { encodings: ['msgpack', 'json'] }),
      goals: { ...GOALS, 64: 1.2 },
    },
    {
      name: 'grpc',
      agentArgs: ['grpc', `127.0.0.1:${port}`],
      endpoint: `http://127.0.0.1:${port}`,
      dialer: () => grpcDialer(`grpc://127.0.0.1:${port}`, HANDSHAKE),
      goals: GOALS,
    },
  ]
}

async function compare(wire: Wire, inFlight: number, pool: string, quick: boolean): Promise<Row[]> {
  const seconds = quick ? 0.3 : 2
  const weir = await weirSide(wire.dialer, 'x-ref-agent')
  await closedLoop(weir.start, inFlight, quick ? 100 : 1000)
  const results = await interleave<ReferenceFigures>(quick ? 1 : 5, {
    ours: async () => {
      const figures = await closedLoop(weir.start, inFlight, seconds * 1000)
      if (figures.failed > 0) throw new Error(`${figures.failed} of our requests failed`)
      return figures
    },
    theirs: async () => referenceFigures(pool, wire.endpoint, seconds, inFlight),
  })
  await weir.close()
  const rate = (side: string): number[] => results[side]!.map((figures) => figures.perSecond)
  const tail = (side: string): number[] => results[side]!.map((figures) => figures.p99Ms)
  const rows = [
    row(`${wire.name} @${inFlight}`, pairedRatio(rate('ours'), rate('theirs')), wire.goals[inFlight]!, {
      ours: median(rate('ours')),
      theirs: median(rate('theirs')),
      range: pairedRange(rate('ours'), rate('theirs')),
    }),
  ]
  if (inFlight === 64) {
    const detail = { 'ours ms': median(tail('ours')), 'theirs ms': median(tail('theirs')) }
    rows.push(row(`${wire.name} @64 p99`, pairedRatio(tail('ours'), tail('theirs')), 1.5, detail, true))
  }
  return rows
}
