import { pathToFileURL } from 'node:url'
import { systemClock } from '../src/core/clock.ts'
import type { StrategyName } from '../src/policy/picker.ts'
import { STRATEGY_NAMES } from '../src/policy/picker.ts'
import type { AgentPool } from '../src/pool/agent-pool.ts'
import type { LeaseHints } from '../src/pool/lease.ts'
import type { PooledConnection } from '../src/pool/pooled-connection.ts'
import { Registry } from '../src/pool/registry.ts'
import { quietPool } from './harness/quiet-pool.ts'
import { printJson, printTable } from './harness/report.ts'
import type { BenchOptions, BenchResult, Row } from './harness/result.ts'
import { row } from './harness/result.ts'
import { median } from './harness/statistics.ts'

/*
 * What choosing and leasing a connection costs: `ConnectionPool.lease` and the release of the oldest lease, with real
 * pools over connections without sockets. Throughput with n connections over throughput with 4, the same with most
 * connections paused, and of one busy agent among n over being alone. All take turns within each round, so a slow phase
 * of the machine hits all of them, and the median round counts. Time is that of the processor, not of the wall.
 */

const BASE_SIZE = 4
const SIZES = [16, 64, 256] as const
const SIZE_GOAL = 0.5
const LARGEST = 256
/** Of 256: 95 % are paused. */
const OPEN_OF_LARGEST = 13
/**
 * Nothing is promised there: a strategy that looks at two or at all of them may have to look at many. Above zero, so that
 * a figure is there at all.
 */
const PAUSED_GOAL = 0
const AGENT_COUNTS = [100, 10_000] as const
const AGENTS_GOAL = 0.9
const CONNECTIONS_PER_AGENT = 4
const ROUNDS = 51
const WARM_UP_ROUNDS = 9
const LEASES_PER_ROUND = 5000
/** Events in flight over the whole pool; a power of two. */
const IN_FLIGHT = 64
const SESSIONS = 1024

/** One pool under load, and what a lease with its release cost in each round. */
class Lane {
  readonly nanoseconds: number[] = []
  readonly #poolNow: () => AgentPool
  readonly #hints: readonly LeaseHints[]
  readonly #open: (PooledConnection | undefined)[] = Array.from({ length: IN_FLIGHT }, () => undefined)
  #turn = 0

  /** `poolNow`: where the pool is found for every lease. */
  constructor(poolNow: () => AgentPool, strategy: StrategyName) {
    this.#poolNow = poolNow
    /* Sessions of the others would be sticky, and the strategy not be asked. */
    this.#hints = Array.from({ length: SESSIONS }, (_, at) => ({
      correlationId: `request-${at}`,
      sessionKey: strategy === 'ring-hash' ? `session-${at * 7919}` : undefined,
      pinnedTo: 0,
      avoid: 0,
      isBody: false,
    }))
  }

  runRound(): void {
    const started = cpuMicroseconds()
    for (let left = LEASES_PER_ROUND; left > 0; left--) this.#leaseOnce()
    this.nanoseconds.push(((cpuMicroseconds() - started) * 1000) / LEASES_PER_ROUND)
  }

  get cost(): number {
    return Math.round(median(this.nanoseconds.slice(WARM_UP_ROUNDS)) * 10) / 10
  }

  /** Throughput over that of another one, round by round. */
  against(base: Lane): number {
    const ratios = this.nanoseconds.map((cost, round) => base.nanoseconds[round]! / cost)
    return median(ratios.slice(WARM_UP_ROUNDS))
  }

  /** Releases what is still leased, so that the pool can be drained. */
  end(): void {
    for (const leased of this.#open.splice(0)) leased?.release('replied', 1)
  }

  /** Leases one and releases the oldest lease. */
  #leaseOnce(): void {
    const turn = this.#turn++
    const slot = turn % IN_FLIGHT
    const hints = this.#hints[turn % SESSIONS]!
    /* Latencies differ a little, so that the strategies that weigh have something to weigh. */
    this.#open[slot]?.release('replied', 1 + (turn % 7) / 10, hints)
    const leased = this.#poolNow().lease(hints)
    if (typeof leased === 'string') throw new Error(`a pool with room refused: ${leased}`)
    this.#open[slot] = leased
  }
}

/** Of this process: what others take of the machine meanwhile is no cost of a lease. */
function cpuMicroseconds(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

interface StrategyLanes {
  readonly base: Lane
  readonly bySize: ReadonlyMap<number, Lane>
  readonly mostlyPaused: Lane
}

function lanesOf(strategy: StrategyName): StrategyLanes {
  const laneOf = (size: number, open = size): Lane => {
    const pool = quietPool('busy', strategy, size, open)
    return new Lane(() => pool, strategy)
  }
  return {
    base: laneOf(BASE_SIZE),
    bySize: new Map(SIZES.map((size) => [size, laneOf(size)])),
    mostlyPaused: laneOf(LARGEST, OPEN_OF_LARGEST),
  }
}

/** One busy agent, in the middle of the others, found by its name for each lease. */
function laneAmong(agents: number): { readonly lane: Lane; readonly registry: Registry } {
  const registry = new Registry(systemClock, (error) => {
    throw error
  })
  for (let index = 0; index < agents; index++)
    registry.add(quietPool(`agent-${index}`, 'round-robin', CONNECTIONS_PER_AGENT))
  const busy = `agent-${agents >> 1}`
  return { lane: new Lane(() => registry.get(busy)!, 'round-robin'), registry }
}

export async function run(options: BenchOptions = { quick: false }): Promise<BenchResult> {
  const strategies = new Map(STRATEGY_NAMES.map((name) => [name, lanesOf(name)]))
  const alone = laneAmong(1)
  const crowds = new Map(AGENT_COUNTS.map((agents) => [agents, laneAmong(agents)]))
  const lanes = [...strategies.values()]
    .flatMap(({ base, bySize, mostlyPaused }) => [base, ...bySize.values(), mostlyPaused])
    .concat(
      alone.lane,
      [...crowds.values()].map(({ lane }) => lane),
    )
  const rounds = options.quick ? 1 : ROUNDS
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) for (const lane of lanes) lane.runRound()
  const rows: Row[] = []
  const add = (name: string, lane: Lane, base: Lane, goal: number): void => {
    const detail = { nanoseconds: lane.cost, nanosecondsAtBase: base.cost }
    rows.push(row(name, lane.against(base), goal, detail))
  }
  for (const [name, { base, bySize, mostlyPaused }] of strategies) {
    for (const [size, lane] of bySize) add(`${name}, ${size} against ${BASE_SIZE}`, lane, base, SIZE_GOAL)
    const paused = LARGEST - OPEN_OF_LARGEST
    add(
      `${name}, ${LARGEST} of which ${paused} paused, against ${BASE_SIZE}`,
      mostlyPaused,
      base,
      PAUSED_GOAL,
    )
  }
  for (const [agents, { lane }] of crowds)
    add(`one of ${agents} agents, against 1`, lane, alone.lane, AGENTS_GOAL)
  for (const { lane, registry } of [alone, ...crowds.values()]) {
    lane.end()
    await registry.drain(systemClock.now())
  }
  return { bench: 'pick', rows }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const result = await run()
  printTable(result)
  printJson(result)
}
