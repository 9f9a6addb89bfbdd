import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { udsAgent } from './harness/agents.ts'
import { closedLoop, openLoop } from './harness/load.ts'
import { type BenchOptions, type BenchResult, row } from './harness/result.ts'
import { median } from './harness/statistics.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

/** p99 over p50 at half the saturation rate, open loop: what a steady load feels. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const durationMs = quick ? 200 : 3000
  await closedLoop(weir.request, 64, durationMs)
  const saturation = (await closedLoop(weir.request, 64, durationMs)).perSecond
  const rounds: {
    ratio: number
    p50Ms: number
    p99Ms: number
    raw: readonly (readonly [number, number])[]
  }[] = []
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    const figures = await openLoop(weir.request, saturation / 2, durationMs)
    const { p50Ms, p99Ms } = figures
    rounds.push({ ratio: p99Ms / p50Ms, p50Ms, p99Ms, raw: figures.histogram.raw() })
  }
  await weir.close()
  await agent.stop()
  const detail = {
    'rate/s': saturation / 2,
    'p50 ms': median(rounds.map((round) => round.p50Ms)),
    'p99 ms': median(rounds.map((round) => round.p99Ms)),
  }
  return {
    bench: 'tail',
    rows: [row('p99/p50 at half load', median(rounds.map((round) => round.ratio)), 3, detail, true)],
    histograms: Object.fromEntries(rounds.map((round, index) => [`round ${index + 1}`, round.raw])),
  }
}
