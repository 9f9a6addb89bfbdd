import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { udsAgent } from './harness/agents.ts'
import { BareSockets } from './harness/bare-socket.ts'
import { requestHeaders } from './harness/events.ts'
import { countingLoop } from './harness/load.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRange, pairedRatio } from './harness/statistics.ts'
import { CONNECTIONS, HANDSHAKE, weirSide } from './harness/weir-side.ts'

const IN_FLIGHT = [1, 8, 64, 256] as const

/** The whole path below the front ends, beside bare sockets with the same frames, codec and concurrency. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 150 : 1500
  const rows: Row[] = []
  for (const encoding of ['json', 'msgpack'] as const) {
    const encodings = encoding === 'json' ? (['json'] as const) : (['msgpack', 'json'] as const)
    const agent = await udsAgent()
    const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE, { encodings }), 'x-ref-agent')
    const bare = await BareSockets.open(agent.address, CONNECTIONS, encoding)
    for (const inFlight of quick ? [8] : IN_FLIGHT) {
      await countingLoop(weir.start, inFlight, durationMs / 2)
      await bare.run(requestHeaders, inFlight, durationMs / 2)
      const results = await interleave(quick ? 1 : 7, {
        ours: () => countingLoop(weir.start, inFlight, durationMs),
        bare: () => bare.run(requestHeaders, inFlight, durationMs),
      })
      rows.push(
        row(`${encoding} @${inFlight}`, pairedRatio(results['ours']!, results['bare']!), 0.9, {
          ours: median(results['ours']!),
          bare: median(results['bare']!),
          range: pairedRange(results['ours']!, results['bare']!),
        }),
      )
    }
    bare.close()
    await weir.close()
    await agent.stop()
  }
  return { bench: 'pool-uds', rows }
}
