import { AdaptiveLimit, type AdaptiveLimitOptions } from '../../policy/limits/adaptive-limit.ts'

export interface ConcurrencyFacts {
  readonly isAdaptive: boolean
  /** Events in flight now, and how many may be; Infinity while adaptation is off. */
  readonly inFlight: number
  readonly limit: number
  readonly refused: number
}

/**
 * Counts the events in flight and refuses those above a limit that follows the measured load. A refused event is
 * the caller's OVERLOADED.
 */
export class ConcurrencyGate {
  readonly #adaptive: AdaptiveLimit | undefined
  #limit: number
  #inFlight = 0
  #peak = 0
  #refused = 0
  #queueMs = 0

  /** Without options there is no limit, and nothing adapts. */
  constructor(options: AdaptiveLimitOptions | undefined) {
    this.#adaptive = options === undefined ? undefined : new AdaptiveLimit(options)
    this.#limit = this.#adaptive?.limit ?? Number.POSITIVE_INFINITY
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

  /** `queueMs`: how long the event waited for a connection. */
  leave(queueMs: number): void {
    this.#inFlight--
    if (queueMs > this.#queueMs) this.#queueMs = queueMs
  }

  /** Longest wait for a connection since the last call, milliseconds. */
  takeQueueMs(): number {
    const queueMs = this.#queueMs
    this.#queueMs = 0
    return queueMs
  }

  /** Adapts the limit to the pressure of one interval. */
  observe(pressure: number): void {
    const peak = this.#peak
    this.#peak = this.#inFlight
    if (this.#adaptive !== undefined) this.#limit = this.#adaptive.observe(pressure, peak)
  }

  get facts(): ConcurrencyFacts {
    return {
      isAdaptive: this.#adaptive !== undefined,
      inFlight: this.#inFlight,
      limit: this.#limit,
      refused: this.#refused,
    }
  }
}
