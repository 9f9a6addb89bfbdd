import { systemClock } from '../src/core/clock.ts'
import { SILENT } from '../src/core/probe.ts'
import { systemRandom } from '../src/core/random.ts'
import { ConnectionPool } from '../src/pool/connection-pool.ts'
import { poolSettings } from '../src/pool/pool-options.ts'
import { Registry } from '../src/pool/registry.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { udsAgent } from './harness/agents.ts'
import { countingLoop } from './harness/load.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

/** Throughput of one busy agent beside 0, 99 and 9,999 others that are configured and wait for their agents. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 150 : 1500
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  await countingLoop(weir.start, 64, durationMs)
  const others = (count: number) => async (): Promise<number> => {
    const registry = new Registry(systemClock, (error) => {
      throw error
    })
    for (let n = 0; n < count; n++) registry.add(waitingPool(`agent-${n}`))
    const perSecond = await countingLoop(weir.start, 64, durationMs)
    await registry.drain(systemClock.now() + 1000)
    return perSecond
  }
  const results = await interleave(quick ? 1 : 7, {
    '1': others(0),
    '100': others(99),
    '10000': others(9999),
  })
  await weir.close()
  await agent.stop()
  const rows: Row[] = ['100', '10000'].map((count) =>
    row(`${count} agents`, pairedRatio(results[count]!, results['1']!), 0.95, {
      [`with ${count}`]: median(results[count]!),
      alone: median(results['1']!),
    }),
  )
  return { bench: 'growth', rows }
}

function waitingPool(agent: string): ConnectionPool {
  const around = { clock: systemClock, random: systemRandom, probe: SILENT }
  return new ConnectionPool({ agent, settings: poolSettings(), around })
}
