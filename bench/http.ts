import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { startDaemon } from './http/daemon.ts'
import { type HttpFigures, hasWrk, loadHere, loadWithWrk } from './http/load.ts'

const HERE = join(dirname(fileURLToPath(import.meta.url)), 'http')
/** What the front end may cost over the least a proxy on the same parts can do. */
const GOAL = 0.9
/** The same for the slowest hundredth, which one collection of garbage more or less decides. */
const P99_GOAL = 1.25

/**
 * The front end without agents against a minimal pass-through on the same parts, each a process of its own in
 * front of the same upstream, taking turns.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const load = (await hasWrk()) ? loadWithWrk : loadHere
  const rounds = options.quick ? 1 : 7
  const seconds = options.quick ? 1 : 2
  const processes: BenchProcess[] = []
  const start = async (file: string, ...args: string[]): Promise<string> => {
    const process_ = new BenchProcess(process.execPath, [join(HERE, file), ...args])
    processes.push(process_)
    const [, port] = await process_.line(/listening (\d+)/)
    return `http://127.0.0.1:${port}`
  }
  try {
    const upstream = await start('upstream.js')
    const theirs = await start('pass-through.js', upstream)
    const ours = await start('front.js', upstream)
    const rows: Row[] = []
    for (const [name, path] of [
      ['512 bytes', '/'],
      ['64 KiB', '/large'],
    ] as const) {
      for (const origin of [theirs, ours]) await load(origin + path, 1)
      const results = await interleave(rounds, {
        theirs: () => load(theirs + path, seconds),
        ours: () => load(ours + path, seconds),
      })
      rows.push(...compare(name, results['ours']!, results['theirs']!))
    }
    rows.push(...(await withAgents(upstream, theirs, load, rounds, seconds)))
    return { bench: 'http', rows }
  } finally {
    await Promise.all(processes.map((process_) => process_.stop()))
  }
}

/** The daemon as it is shipped, metrics on: what one agent and what three agents leave of its throughput. */
async function withAgents(
  upstream: string,
  theirs: string,
  load: typeof loadHere,
  rounds: number,
  seconds: number,
): Promise<Row[]> {
  const daemon = await startDaemon(upstream)
  try {
    for (const url of [daemon.none, daemon.one, daemon.three]) await load(url, 1)
    const results = await interleave(rounds, {
      theirs: () => load(theirs, seconds),
      none: () => load(daemon.none, seconds),
      one: () => load(daemon.one, seconds),
      three: () => load(daemon.three, seconds),
    })
    const against = (name: string, ours: string, base: string, goal: number): Row => {
      const rate = (side: string): number[] => results[side]!.map(({ perSecond }) => perSecond)
      const tail = median(results[ours]!.map(({ p99Ms }) => p99Ms))
      const detail = { [ours]: median(rate(ours)), [base]: median(rate(base)), 'p99 ms': tail }
      return row(name, pairedRatio(rate(ours), rate(base)), goal, detail)
    }
    return [
      against('daemon without agents over the pass-through', 'none', 'theirs', 0.8),
      against('daemon with one agent over none', 'one', 'none', 0.55),
      against('daemon with the three demo agents over none (no goal)', 'three', 'none', 0),
    ]
  } finally {
    await daemon.stop()
  }
}

function compare(name: string, ours: readonly HttpFigures[], theirs: readonly HttpFigures[]): Row[] {
  const rate = (figures: HttpFigures): number => figures.perSecond
  const tail = (figures: HttpFigures): number => figures.p99Ms
  return [
    row(
      `GET ${name}, requests/s over a minimal pass-through`,
      pairedRatio(ours.map(rate), theirs.map(rate)),
      GOAL,
      {
        ours: median(ours.map(rate)),
        passThrough: median(theirs.map(rate)),
      },
    ),
    row(
      `GET ${name}, p99 over a minimal pass-through`,
      pairedRatio(ours.map(tail), theirs.map(tail)),
      P99_GOAL,
      { oursMs: median(ours.map(tail)), passThroughMs: median(theirs.map(tail)) },
      true,
    ),
  ]
}
