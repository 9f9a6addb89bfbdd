import type { Clock } from '../../core/clock.ts'

/** Calls that a client may reset in a burst, and per second in the long run. */
const BURST = 10_000
const PER_SECOND = 1000

/**
 * Calls that are opened and reset at once count against no limit of calls, but cost as much. Clients that reset each of
 * their calls in good faith (Envoy does) stay far below this; Node's own limit, 1,000 and 33 per second, cuts them off.
 */
export class ResetBudget {
  readonly #clock: Clock
  #left = BURST
  #countedAt: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#countedAt = clock.now()
  }

  /** Whether one more reset is within the budget. */
  take(): boolean {
    const now = this.#clock.now()
    this.#left = Math.min(BURST, this.#left + ((now - this.#countedAt) * PER_SECOND) / 1000)
    this.#countedAt = now
    this.#left--
    return this.#left >= 0
  }
}
