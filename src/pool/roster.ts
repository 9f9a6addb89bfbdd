import { statedBodyLimit } from '../core/agent-messages.ts'
import type { Random } from '../core/random.ts'
import type { PickContext, Picker, Strategy } from '../policy/picker.ts'
import { Burst, type PoolLoad } from './burst.ts'
import type { LeaseHints, Refusal } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'

const NOBODY: readonly LiveConnection[] = []
/** Of every pool without a ready connection: of a large fleet that may be most. */
const NOBODY_TO_PICK: Picker = { pick: () => -1 }

/**
 * The live connections of a pool and the picker over those that are ready. The picker is built anew whenever
 * that set changes, so that picking is one synchronous call.
 */
export class Roster {
  #strategy: Strategy
  readonly #random: Random
  #burst: Burst
  readonly #byId = new Map<number, LiveConnection>()
  readonly #context: { -readonly [K in keyof PickContext]: PickContext[K] } = { hashKey: undefined, avoid: 0 }
  /** In the order the picker was built with. */
  #ready = NOBODY
  #picker = NOBODY_TO_PICK
  #maxBodyBytes = Number.POSITIVE_INFINITY
  #isClosed = false

  constructor(strategy: Strategy, random: Random, maxBurst: number) {
    this.#strategy = strategy
    this.#burst = new Burst(strategy.weighs, maxBurst)
    this.#random = random
  }

  /** Chooses another way from now on, among the same connections. */
  use(strategy: Strategy, maxBurst: number): void {
    this.#strategy = strategy
    this.#burst = new Burst(strategy.weighs, maxBurst)
    this.publish()
  }

  /** Every connection that is not gone. */
  get all(): MapIterator<LiveConnection> {
    return this.#byId.values()
  }

  get ready(): readonly LiveConnection[] {
    return this.#ready
  }

  /** Bytes of one body that every ready connection takes; while there is none, what held before. */
  get maxBodyBytes(): number {
    return this.#maxBodyBytes
  }

  find(id: number): LiveConnection | undefined {
    return this.#byId.get(id)
  }

  add(live: LiveConnection): void {
    this.#byId.set(live.id, live)
    this.publish()
  }

  remove(live: LiveConnection): void {
    if (this.#byId.delete(live.id)) this.publish()
  }

  /** A connection changed its stage. */
  publish(): void {
    const ready = this.#isClosed ? NOBODY : [...this.#byId.values()].filter(({ stage }) => stage === 'ready')
    this.#ready = ready
    this.#picker = ready.length === 0 ? NOBODY_TO_PICK : this.#strategy.build(ready, this.#random)
    if (ready.length > 0) this.#maxBodyBytes = leastBodyLimit(ready)
  }

  /** Nothing is picked from now on. */
  close(): void {
    this.#isClosed = true
    this.publish()
  }

  pick(hints: LeaseHints, load: PoolLoad): LiveConnection | undefined {
    const followed = this.#burst.follow(hints, load)
    if (followed !== undefined) return followed
    const chosen = this.#choose(hints)
    this.#burst.begin(chosen, load.inFlight / this.#ready.length)
    return chosen
  }

  #choose(hints: LeaseHints): LiveConnection | undefined {
    const context = this.#context
    context.hashKey = hints.sessionKey
    context.avoid = hints.avoid
    const index = this.#picker.pick(context)
    return index < 0 ? undefined : this.#ready[index]
  }

  /** The connection for a body chunk that the picker's choice holds back: any with room in its byte window. */
  pickForBody({ correlationId }: LeaseHints): LiveConnection | Refusal {
    let refusal: Refusal = 'paused'
    for (const live of this.#ready) {
      if (!live.isAvailable) continue
      const hold = live.holdsBody(correlationId)
      if (hold === undefined) return live
      if (hold === 'full') refusal = 'full'
    }
    return refusal
  }

  /** Why nothing was picked; undefined when something could be picked after all. Not on the hot path. */
  refusal(): Refusal | undefined {
    if (this.#isClosed) return 'draining'
    let usable = 0
    let paused = 0
    for (const live of this.#ready) {
      if (!live.isUsable) continue
      if (live.isAvailable) return undefined
      usable++
      if (live.isPaused) paused++
    }
    if (usable === 0) return 'unavailable'
    return paused === usable ? 'paused' : 'full'
  }
}

function leastBodyLimit(ready: readonly LiveConnection[]): number {
  let least = Number.POSITIVE_INFINITY
  for (const { connection } of ready) least = Math.min(least, statedBodyLimit(connection.capabilities.limits))
  return least
}
