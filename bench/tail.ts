import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { udsAgent } from './harness/agents.ts'
import { BareSockets } from './harness/bare-socket.ts'
import { requestHeaders } from './harness/events.ts'
import { closedLoop, type LoadFigures, type Operation, openLoop } from './harness/load.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { CONNECTIONS, HANDSHAKE, weirSide } from './harness/weir-side.ts'

/** What Weir may add to the slowest hundredth of bare sockets under the same load. No goal of the issue. */
const P99_OVER_BARE = 1.5

/**
 * p99 over p50 at half the saturation rate, open loop: what a steady load feels. Beside it the same of bare sockets
 * under the same generator at the same rate, in turn: what of the tail is the machine's, the agent's and the
 * generator's, which shares the process. And the generator alone, whose operations take no time.
 */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const bare = await BareSockets.open(agent.address, CONNECTIONS, 'json')
  const durationMs = quick ? 200 : 1500
  await closedLoop(weir.start, 64, durationMs)
  const saturation = (await closedLoop(weir.start, 64, durationMs)).perSecond
  const load = (operation: Operation) => () => openLoop(operation, saturation / 2, durationMs)
  const results = await interleave(quick ? 1 : 5, {
    ours: load(weir.request),
    bare: load(() => bare.request(requestHeaders)),
    nothing: load(() => Promise.resolve(true)),
  })
  bare.close()
  await weir.close()
  await agent.stop()
  const ours = results['ours']!
  const floor = results['bare']!
  const p99 = ({ p99Ms }: LoadFigures): number => p99Ms
  const steadiness = (name: string, rounds: readonly LoadFigures[], goal?: number): Row =>
    row(
      name,
      median(rounds.map(({ p50Ms, p99Ms }) => p99Ms / p50Ms)),
      goal ?? 0,
      {
        'rate/s': saturation / 2,
        'p50 ms': median(rounds.map(({ p50Ms }) => p50Ms)),
        'p99 ms': median(rounds.map(p99)),
      },
      goal !== undefined,
    )
  return {
    bench: 'tail',
    rows: [
      steadiness('p99/p50 at half load', ours, 3),
      steadiness('p99/p50 of bare sockets at that rate (no goal)', floor),
      steadiness('p99/p50 of the generator alone (no goal)', results['nothing']!),
      row(
        'p99 over that of bare sockets',
        pairedRatio(ours.map(p99), floor.map(p99)),
        P99_OVER_BARE,
        {},
        true,
      ),
    ],
    histograms: Object.fromEntries(
      ours.map(({ histogram }, index) => [`round ${index + 1}`, histogram.raw()]),
    ),
  }
}
