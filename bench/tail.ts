import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { program, udsAgent } from './harness/agents.ts'
import { BareSockets } from './harness/bare-socket.ts'
import { requestHeaders } from './harness/events.ts'
import { closedLoop, type LoadFigures, type Operation, openLoop } from './harness/load.ts'
import { BenchProcess } from './harness/process.ts'
import { type BenchOptions, type BenchResult, notRun, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { CONNECTIONS, HANDSHAKE, weirSide } from './harness/weir-side.ts'

/** What Weir may add to the slowest hundredth of bare sockets under the same load. No goal of the issue. */
const P99_OVER_BARE = 1.5

/**
 * Open load before anything is counted, milliseconds: its functions are others than those of the closed loop, and their
 * compilation takes the first 400 ms.
 */
const WARM_UP_MS = 1500

/** Of the rate asked for, what must have been done: below it a queue grew, and every quantile is that of the queue. */
const KEPT_UP = 0.97
const BUSY = 'the machine was too busy to keep up half the rate that it had just reached'

/**
 * p99 over p50 at half the saturation rate, open loop: what a steady load feels. Beside it the same of bare sockets
 * under the same generator at the same rate, in turn: what of the tail is the agent's and the generator's, which shares
 * the process. Then the generator alone, whose operations take no time, and the generator alone beside a process that
 * only turns its event loop: nothing that two processes do on this machine can have a smaller tail than that.
 */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  const bare = await BareSockets.open(agent.address, CONNECTIONS, 'json')
  const spinner = new BenchProcess(process.execPath, [program('spinner')])
  await spinner.line(/^ready$/)
  const durationMs = quick ? 200 : 1500
  await closedLoop(weir.start, 64, durationMs)
  const saturation = (await closedLoop(weir.start, 64, durationMs)).perSecond
  const operations = {
    ours: weir.request,
    bare: () => bare.request(requestHeaders),
    nothing: () => Promise.resolve(true),
  }
  const load = (operation: Operation) => () => openLoop(operation, saturation / 2, durationMs)
  for (const operation of Object.values(operations))
    await openLoop(operation, saturation / 2, quick ? 50 : WARM_UP_MS)
  const lost: number[] = []
  const results = await interleave(quick ? 1 : 5, {
    ours: load(operations.ours),
    bare: load(operations.bare),
    nothing: load(operations.nothing),
    spinning: async () => {
      spinner.forget()
      spinner.tell('spin')
      const figures = await load(operations.nothing)()
      spinner.tell('rest')
      const [, share] = await spinner.line(/^lost (.*)$/)
      lost.push(Number(share))
      return figures
    },
  })
  bare.close()
  await weir.close()
  await agent.stop()
  await spinner.stop()
  const ours = results['ours']!
  const floor = results['bare']!
  const p99 = ({ p99Ms }: LoadFigures): number => p99Ms
  const keepsUp = (rounds: readonly LoadFigures[]): boolean =>
    median(rounds.map(({ perSecond }) => perSecond)) >= (KEPT_UP * saturation) / 2
  /* A machine on which bare sockets fall behind says nothing; where they do not, falling behind is a failure of ours. */
  const isKeptUp = keepsUp(floor)
  const steadiness = (name: string, rounds: readonly LoadFigures[], goal?: number): Row => {
    if (!isKeptUp && goal !== undefined) return notRun(name, goal, BUSY)
    const figures = row(
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
    return goal === undefined || keepsUp(rounds) ? figures : { ...figures, ok: false }
  }
  return {
    bench: 'tail',
    rows: [
      steadiness('p99/p50 at half load', ours, 3),
      steadiness('p99/p50 of bare sockets at that rate (no goal)', floor),
      steadiness('p99/p50 of the generator alone (no goal)', results['nothing']!),
      row(
        'p99 ms of the generator alone beside a spinning process (no goal)',
        median(results['spinning']!.map(p99)),
        0,
        {
          'of that process lost, %': 100 * median(lost),
        },
      ),
      isKeptUp
        ? row(
            'p99 over that of bare sockets',
            pairedRatio(ours.map(p99), floor.map(p99)),
            P99_OVER_BARE,
            {},
            true,
          )
        : notRun('p99 over that of bare sockets', P99_OVER_BARE, BUSY),
    ],
    histograms: Object.fromEntries(
      ours.map(({ histogram }, index) => [`round ${index + 1}`, histogram.raw()]),
    ),
  }
}
