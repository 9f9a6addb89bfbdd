import { systemClock } from '../src/core/clock.ts'
import { SILENT } from '../src/core/probe.ts'
import { systemRandom } from '../src/core/random.ts'
import { ConnectionPool } from '../src/pool/connection-pool.ts'
import { poolSettings } from '../src/pool/pool-options.ts'
import { Registry } from '../src/pool/registry.ts'
import type { Dialer } from '../src/transport/connection.ts'
import { udsDialer } from '../src/transport/uds/uds-dialer.ts'
import { udsAgent } from './harness/agents.ts'
import { collector } from './harness/collector.ts'
import { countingLoop } from './harness/load.ts'
import { QuietConnection } from './harness/quiet-connection.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'
import { HANDSHAKE, weirSide } from './harness/weir-side.ts'

/** Load between the making of the agents and the measurement, milliseconds. */
const SETTLE_MS = 300

/**
 * Throughput of one busy agent beside others: 99 and 9,999 that wait for their agents to dial in, as many that are there
 * and idle (their heartbeats answered without a socket), and 99 whose agents are down and are dialed again and again. What is
 * measured is to have them, not to make them, which happens once: before each measurement, also that of the busy agent
 * alone, a full collection stands for the minutes that a process has run by then. Without it the collector carries tens of
 * megabytes of new pools from the young generation to the old while the load runs, and those of the round before away.
 *
 * Beside throughput stands the processor time per event, which the rest of the machine disturbs less.
 */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const durationMs = quick ? 150 : 1500
  const collect = collector()
  const agent = await udsAgent()
  const weir = await weirSide(() => udsDialer(agent.address, HANDSHAKE), 'x-ref-agent')
  await countingLoop(weir.start, 64, durationMs)
  const among = (count: number, make: (name: string) => ConnectionPool) => async (): Promise<Cost> => {
    const registry = new Registry(systemClock, (error) => {
      throw error
    })
    for (let n = 1; n < count; n++) registry.add(make(`agent-${n}`))
    collect()
    await countingLoop(weir.start, 64, quick ? 50 : SETTLE_MS)
    const startedAt = performance.now()
    const before = process.cpuUsage()
    const perSecond = await countingLoop(weir.start, 64, durationMs)
    const { user, system } = process.cpuUsage(before)
    const events = (perSecond * (performance.now() - startedAt)) / 1000
    await registry.drain(systemClock.now() + 1000)
    return { perSecond, microseconds: (user + system) / events }
  }
  const results = await interleave(quick ? 1 : 9, {
    alone: among(1, waiting),
    '100 agents': among(100, waiting),
    '10000 agents': among(10_000, waiting),
    '10000 agents, connected': among(10_000, connected),
    '100 agents, 99 of them down': among(100, down),
  })
  await weir.close()
  await agent.stop()
  const names = Object.keys(results).filter((name) => name !== 'alone')
  const rows: Row[] = names.map((name) => {
    const [many, alone] = [results[name]!, results['alone']!]
    const rates = (all: readonly Cost[]): number[] => all.map(({ perSecond }) => perSecond)
    const times = (all: readonly Cost[]): number[] => all.map(({ microseconds }) => microseconds)
    return row(name, pairedRatio(rates(many), rates(alone)), 0.95, {
      'with them': median(rates(many)),
      alone: median(rates(alone)),
      'processor us per event': median(times(many)),
      'alone us': median(times(alone)),
      'processor ratio': pairedRatio(times(alone), times(many)),
    })
  })
  return { bench: 'growth', rows }
}

interface Cost {
  readonly perSecond: number
  /** Of processor time, per event. */
  readonly microseconds: number
}

const AROUND = { clock: systemClock, random: systemRandom, probe: SILENT }

function waiting(agent: string): ConnectionPool {
  return new ConnectionPool({ agent, settings: poolSettings(), around: AROUND })
}

function connected(agent: string): ConnectionPool {
  const pool = waiting(agent)
  const refused = pool.adopt(new QuietConnection())
  if (refused !== undefined) throw refused
  return pool
}

function down(agent: string): ConnectionPool {
  const nextDialer = (): Dialer => udsDialer(`/nonexistent/${agent}.sock`, HANDSHAKE)
  const pool = new ConnectionPool({ agent, settings: poolSettings(), around: AROUND, nextDialer })
  pool.start()
  return pool
}
