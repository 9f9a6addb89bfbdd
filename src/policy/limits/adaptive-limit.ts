import { WeirError } from '../../core/errors.ts'
import { CALM_BELOW } from './load-pressure.ts'

export interface AdaptiveLimitOptions {
  /** What is always allowed. */
  readonly min: number
  readonly max: number
  readonly initial: number
}

/** The limit shrinks to this share at a pressure above 1. */
const BACKOFF = 0.8
/** Samples after a shrink before the next change: what was let in has to leave first. */
const REST_SAMPLES = 2

/**
 * How much may be done at once (events in flight, buckets of one slice), from the pressure of measured load: less by a
 * share while it is too high, more by steps while it is low and the limit is what holds work back. Pure.
 */
export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions
  #limit: number
  #rest = 0

  /** Throws INVALID_ARGUMENT unless 1 <= min <= initial <= max. */
  constructor(options: AdaptiveLimitOptions) {
    const { min, max, initial } = options
    if (!(min >= 1 && min <= initial && initial <= max))
      throw new WeirError(
        'INVALID_ARGUMENT',
        `adaptive limit: 1 <= min (${min}) <= initial (${initial}) <= max (${max}) does not hold`,
      )
    this.#options = options
    this.#limit = initial
  }

  /** Whole units. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** Takes the pressure of one interval in, and the most that was done at once in it; returns the limit from now on. */
  observe(pressure: number, used: number): number {
    if (this.#rest > 0) {
      this.#rest--
    } else if (pressure > 1) {
      this.#limit = Math.max(this.#options.min, this.#limit * BACKOFF)
      this.#rest = REST_SAMPLES
    } else if (pressure < CALM_BELOW && used >= this.#limit / 2) {
      this.#limit = Math.min(this.#options.max, this.#limit + Math.max(1, Math.sqrt(this.#limit)))
    }
    return this.limit
  }
}
