import { grpcDialer } from '../src/transport/grpc/grpc-dialer.ts'
import { grpcAgent } from './harness/agents.ts'
import { BareGrpc } from './harness/bare-grpc.ts'
import { countingLoop } from './harness/load.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRange, pairedRatio } from './harness/statistics.ts'
import { CONNECTIONS, HANDSHAKE, weirSide } from './harness/weir-side.ts'

const GOALS: Readonly<Record<number, number>> = { 1: 1.5, 64: 3.0 }

/** The whole path below the front ends, beside bare grpc-js streams, both against the same agent. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 150 : 1500
  const rows: Row[] = []
  const agent = await grpcAgent()
  const weir = await weirSide(() => grpcDialer(`grpc://${agent.address}`, HANDSHAKE), 'x-ref-agent')
  const bare = await BareGrpc.open(agent.address, CONNECTIONS)
  for (const inFlight of quick ? [64] : [1, 64]) {
    await countingLoop(weir.start, inFlight, durationMs / 2)
    await bare.run(inFlight, durationMs / 2)
    const results = await interleave(quick ? 1 : 7, {
      ours: () => countingLoop(weir.start, inFlight, durationMs),
      bare: () => bare.run(inFlight, durationMs),
    })
    rows.push(
      row(`@${inFlight}`, pairedRatio(results['ours']!, results['bare']!), GOALS[inFlight]!, {
        ours: median(results['ours']!),
        bare: median(results['bare']!),
        range: pairedRange(results['ours']!, results['bare']!),
      }),
    )
  }
  bare.close()
  await weir.close()
  await agent.stop()
  return { bench: 'pool-grpc', rows }
}
