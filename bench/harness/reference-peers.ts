import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BenchProcess } from './process.ts'

export interface ReferencePeers {
  readonly agent: string
  readonly pool: string
}

/** Folder of the built reference pool and agent; see bench/README.md for how they are built. */
const VARIABLE = 'WEIR_REFERENCE_PEERS'

/** The reference protocol's own programs, or a sentence that says why they are absent. */
export function referencePeers(): ReferencePeers | string {
  const folder = process.env[VARIABLE]
  if (folder === undefined) return `${VARIABLE} is not set`
  const peers = { agent: join(folder, 'ref-agent'), pool: join(folder, 'ref-pool') }
  if (!existsSync(peers.agent) || !existsSync(peers.pool)) return `no ref-agent and ref-pool in ${folder}`
  return peers
}

export interface ReferenceFigures {
  readonly perSecond: number
  readonly p99Ms: number
}

/** One run of the reference pool (one thread, 4 connections) as a load. */
export async function referenceFigures(
  pool: string,
  endpoint: string,
  seconds: number,
  inFlight: number,
): Promise<ReferenceFigures> {
  const load = new BenchProcess(pool, [endpoint, '1', String(seconds), String(inFlight)])
  const [text] = await load.line(/^\{.*\}$/, 60_000)
  await load.stop()
  const figures = JSON.parse(text) as { events_per_s: number; p99_ms: number; errors: number }
  if (figures.errors > 0) throw new Error(`the reference pool had ${figures.errors} errors`)
  return { perSecond: figures.events_per_s, p99Ms: figures.p99_ms }
}
