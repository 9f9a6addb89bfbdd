import { pathToFileURL } from 'node:url'
import { seededRandom } from '../src/core/random.ts'
import type { Candidate, PickContext, Picker, StrategyName } from '../src/policy/picker.ts'
import { STRATEGY_NAMES } from '../src/policy/picker.ts'
import { strategyNamed } from '../src/policy/strategies/strategy-named.ts'
import { printJson, printTable } from './harness/report.ts'
import type { BenchOptions, BenchResult, Row } from './harness/result.ts'
import { row } from './harness/result.ts'
import { median } from './harness/statistics.ts'

/*
 * What a pick costs as the pool grows: throughput at n candidates over throughput at 4. Sizes take turns within
 * each round, so a slow phase of the machine hits all of them, and the median round counts.
 */

const BASE_SIZE = 4
const SIZES = [BASE_SIZE, 16, 64, 256] as const
const GOAL = 0.5
const ROUNDS = 31
const WARM_UP_ROUNDS = 5
const PICKS_PER_ROUND = 20_000
/** Events in flight over the whole pool; a power of two. */
const IN_FLIGHT = 64

/** Facts behind getters, as the pool's connections have them. */
class BenchCandidate implements Candidate {
  readonly id: number
  inFlight = 0
  readonly #latencyMs: number
  readonly #limit = 100
  #isPaused = false

  constructor(id: number, latencyMs: number) {
    this.id = id
    this.#latencyMs = latencyMs
  }

  get isAvailable(): boolean {
    return !this.#isPaused && this.inFlight < this.#limit
  }

  get weight(): number {
    return 1
  }

  get latencyMs(): number {
    return this.#latencyMs
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused
  }
}

class Lane {
  readonly size: number
  readonly nanoseconds: number[] = []
  /** Sum of the indexes picked: a result that depends on every pick, so none can be left out. */
  checksum = 0
  readonly #candidates: BenchCandidate[]
  readonly #picker: Picker
  readonly #open = new Int32Array(IN_FLIGHT).fill(-1)
  #turn = 0

  constructor(name: StrategyName, size: number) {
    const random = seededRandom(size)
    this.size = size
    this.#candidates = Array.from({ length: size }, (_, index) => new BenchCandidate(index + 1, 1 + random()))
    this.#picker = strategyNamed(name).build(this.#candidates, random)
  }

  runRound(contexts: readonly PickContext[]): void {
    const started = performance.now()
    for (let left = PICKS_PER_ROUND; left > 0; left--) this.#pickOnce(contexts)
    this.nanoseconds.push(((performance.now() - started) * 1e6) / PICKS_PER_ROUND)
  }

  /** Leases one and releases the oldest lease. */
  #pickOnce(contexts: readonly PickContext[]): void {
    const turn = this.#turn++
    const index = this.#picker.pick(contexts[turn % contexts.length]!)
    if (index < 0) throw new Error('nothing was picked from a pool with room')
    this.checksum += index
    const slot = turn % IN_FLIGHT
    const ended = this.#open[slot]!
    if (ended >= 0) this.#candidates[ended]!.inFlight--
    this.#candidates[index]!.inFlight++
    this.#open[slot] = index
  }
}

export function run(options: BenchOptions = { quick: false }): Promise<BenchResult> {
  const contexts = Array.from({ length: 1024 }, (_, at) => ({ hashKey: `session-${at * 7919}`, avoid: 0 }))
  const lanes = new Map(STRATEGY_NAMES.map((name) => [name, SIZES.map((size) => new Lane(name, size))]))
  const rounds = options.quick ? 1 : ROUNDS
  for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
    for (const ofStrategy of lanes.values()) for (const lane of ofStrategy) lane.runRound(contexts)
  }
  const rows: Row[] = []
  for (const [name, ofStrategy] of lanes) {
    const base = ofStrategy[0]!
    for (const lane of ofStrategy) {
      if (lane === base) continue
      if (!(lane.checksum > 0)) throw new Error(`the picks of ${name} among ${lane.size} left no trace`)
      const ratios = lane.nanoseconds.map((cost, round) => base.nanoseconds[round]! / cost)
      rows.push(
        row(`${name}, ${lane.size} against ${BASE_SIZE}`, median(ratios.slice(WARM_UP_ROUNDS)), GOAL, {
          nanoseconds: cost(lane),
          nanosecondsAtBase: cost(base),
        }),
      )
    }
  }
  return Promise.resolve({ bench: 'pick', rows })
}

function cost(lane: Lane): number {
  return Math.round(median(lane.nanoseconds.slice(WARM_UP_ROUNDS)) * 10) / 10
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const result = await run()
  printTable(result)
  printJson(result)
}
