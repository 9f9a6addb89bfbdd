import { AdaptiveLimit, type AdaptiveLimitOptions } from '../../policy/limits/adaptive-limit.ts'
import { LeaseWaits } from './lease-waits.ts'

export interface ConcurrencyFacts {
  /** Events in flight now, and how many may be. */
  readonly inFlight: number
  readonly limit: number
  readonly refused: number
}

/**
 * Counts the events in flight and refuses those above a limit that follows the measured load. A refused event is
 * the caller's OVERLOADED.
 */
export class ConcurrencyGate {
  #adaptive: AdaptiveLimit
  readonly #waits = new LeaseWaits()
  #limit: number
  #inFlight = 0
  #peak = 0
  #refused = 0

  constructor(options: AdaptiveLimitOptions) {
    this.#adaptive = new AdaptiveLimit(options)
    this.#limit = this.#adaptive.limit
  }

  /** Other bounds: the limit goes on from where it is, as far as they allow. */
  configure({ min, max }: AdaptiveLimitOptions): void {
    const initial = Math.min(max, Math.max(min, this.#limit))
    this.#adaptive = new AdaptiveLimit({ min, max, initial })
    this.#limit = this.#adaptive.limit
  }

  /** True: call `leave` exactly once when the event is done. False: refuse it. */
  tryEnter(): boolean {
    if (this.#inFlight >= this.#limit) {
      this.#refused++
      return false
    }
    this.#inFlight++
    if (this.#inFlight > this.#peak) this.#peak = this.#inFlight
    return true
  }

  /** `waitMs`: how long the event waited for a connection of its agent; undefined: it got none. */
  leave(agent: string, waitMs: number | undefined): void {
    this.#inFlight--
    if (waitMs !== undefined) this.#waits.add(agent, waitMs)
  }

  /** The wait for a connection that no agent was spared since the last call, milliseconds; see {@link LeaseWaits}. */
  takeQueueMs(): number {
    return this.#waits.take()
  }

  /** Adapts the limit to the pressure of one interval. */
  observe(pressure: number): void {
    const peak = this.#peak
    this.#peak = this.#inFlight
    this.#limit = this.#adaptive.observe(pressure, peak)
  }

  get facts(): ConcurrencyFacts {
    return { inFlight: this.#inFlight, limit: this.#limit, refused: this.#refused }
  }
}
