import { WeirError } from '../../core/errors.ts'

/** How loaded the process was over one interval. */
export interface LoadSample {
  /** How late timers ran, a high percentile, milliseconds. */
  readonly loopLagMs: number
  /** Share of all cores that the process used, 0..1. */
  readonly cpu: number
  /** How long events waited for a connection, a high percentile, milliseconds. */
  readonly queueMs: number
  /** Most events in flight at once. */
  readonly inFlight: number
}

export interface AdaptiveLimitOptions {
  /** Events in flight that are always allowed. */
  readonly min: number
  readonly max: number
  readonly initial: number
  /** Each figure at its target is a pressure of 1. */
  readonly targets: { readonly loopLagMs: number; readonly cpu: number; readonly queueMs: number }
}

export type LoadCause = 'loop-lag' | 'cpu' | 'queue'

/** Lag of 20 ms is felt by every client; 0.9 of the cores leaves some for the kernel; 50 ms is half a human blink. */
export const DEFAULT_TARGETS = { loopLagMs: 20, cpu: 0.9, queueMs: 50 } as const

/** Weight of the newest sample: about four samples' memory. */
const SMOOTHING = 0.4
/** Below this pressure the limit may grow; between it and 1 it holds, so that it does not flap. */
const CALM_BELOW = 0.7
/** The limit shrinks to this share at a pressure above 1. */
const BACKOFF = 0.8
/** Samples after a shrink before the next change: what was let in has to leave first. */
const REST_SAMPLES = 2

/**
 * How many events may be in flight, from measured load: less by a share while it is too high, more by steps while it
 * is low and the limit is what holds traffic back. Pure: it sees samples and nothing else.
 */
export class AdaptiveLimit {
  readonly #options: AdaptiveLimitOptions
  #limit: number
  #loopLagMs = 0
  #cpu = 0
  #queueMs = 0
  #rest = 0

  /** Throws INVALID_ARGUMENT unless 1 <= min <= initial <= max and the targets are above 0. */
  constructor(options: AdaptiveLimitOptions) {
    const { min, max, initial, targets } = options
    if (!(min >= 1 && min <= initial && initial <= max))
      throw new WeirError(
        'INVALID_ARGUMENT',
        `adaptive limit: 1 <= min (${min}) <= initial (${initial}) <= max (${max}) does not hold`,
      )
    if (!(targets.loopLagMs > 0 && targets.cpu > 0 && targets.queueMs > 0))
      throw new WeirError('INVALID_ARGUMENT', 'adaptive limit: every target must be above 0')
    this.#options = options
    this.#limit = initial
  }

  /** Whole events. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** The smoothed load against its targets: 1 is as much as is wanted. */
  get pressure(): number {
    const { targets } = this.#options
    return Math.max(
      this.#loopLagMs / targets.loopLagMs,
      this.#cpu / targets.cpu,
      this.#queueMs / targets.queueMs,
    )
  }

  /** The figure that the pressure comes from; undefined while it is below 1. */
  get cause(): LoadCause | undefined {
    const { targets } = this.#options
    const { pressure } = this
    if (pressure <= 1) return undefined
    if (this.#loopLagMs / targets.loopLagMs === pressure) return 'loop-lag'
    return this.#cpu / targets.cpu === pressure ? 'cpu' : 'queue'
  }

  /** Takes one sample in and returns the limit from now on. A figure that is not a number changes nothing. */
  observe(sample: LoadSample): number {
    this.#loopLagMs = smooth(this.#loopLagMs, sample.loopLagMs)
    this.#cpu = smooth(this.#cpu, sample.cpu)
    this.#queueMs = smooth(this.#queueMs, sample.queueMs)
    const { pressure } = this
    if (this.#rest > 0) {
      this.#rest--
    } else if (pressure > 1) {
      this.#limit = Math.max(this.#options.min, this.#limit * BACKOFF)
      this.#rest = REST_SAMPLES
    } else if (pressure < CALM_BELOW && sample.inFlight >= this.#limit / 2) {
      this.#limit = Math.min(this.#options.max, this.#limit + Math.max(1, Math.sqrt(this.#limit)))
    }
    return this.limit
  }
}

function smooth(before: number, value: number): number {
  return Number.isFinite(value) && value >= 0 ? before + SMOOTHING * (value - before) : before
}
