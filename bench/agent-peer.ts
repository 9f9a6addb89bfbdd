import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { grpcAgent, udsAgent } from './harness/agents.ts'
import { freePort } from './harness/free-port.ts'
import { BenchProcess } from './harness/process.ts'
import { referenceFigures, referencePeers } from './harness/reference-peers.ts'
import { type BenchOptions, type BenchResult, notRun, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'

const IN_FLIGHT = 64
const GOAL = 0.8

/** The reference pool against an SDK agent, beside the same pool against the reference agent. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const peers = referencePeers()
  if (typeof peers === 'string') return { bench: 'agent-peer', rows: [notRun('all', GOAL, peers)] }
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const socket = join(folder, 'ref.sock')
  const port = await freePort()
  const theirs = [
    new BenchProcess(peers.agent, ['uds', socket]),
    new BenchProcess(peers.agent, ['grpc', `127.0.0.1:${port}`]),
  ]
  const uds = await udsAgent()
  const grpc = await grpcAgent()
  await sleep(300)
  const seconds = quick ? 0.3 : 2
  const figures = (endpoint: string) => (): Promise<number> =>
    referenceFigures(peers.pool, endpoint, seconds, IN_FLIGHT).then((found) => found.perSecond)
  const rows: Row[] = []
  for (const [name, ours, reference] of [
    ['uds-json', `unix:${uds.address}`, `unix:${socket}`],
    ['grpc', `http://${grpc.address}`, `http://127.0.0.1:${port}`],
  ] as const) {
    const results = await interleave(quick ? 1 : 5, { ours: figures(ours), theirs: figures(reference) })
    rows.push(
      row(`${name} @${IN_FLIGHT}`, pairedRatio(results['ours']!, results['theirs']!), GOAL, {
        'SDK agent': median(results['ours']!),
        'reference agent': median(results['theirs']!),
      }),
    )
  }
  for (const agent of theirs) await agent.stop()
  await uds.stop()
  await grpc.stop()
  rmSync(folder, { recursive: true, force: true })
  return { bench: 'agent-peer', rows }
}
