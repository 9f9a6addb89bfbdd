import { WeirError } from '../../core/errors.ts'

/** How loaded the process was over one interval. A figure that is not a number changes nothing. */
export interface LoadSample {
  /** How late timers ran, a high percentile, milliseconds. */
  readonly loopLagMs: number
  /** Share of the time in which the event loop was busy, 0..1. The hot path is one thread: this is what runs out. */
  readonly utilization: number
  /** How long events of the agent that waits least waited for a connection, 90th percentile, milliseconds. */
  readonly queueMs: number
}

export type LoadTargets = LoadSample
export type LoadCause = 'loop-lag' | 'utilization' | 'queue'

/**
 * Lag of 20 ms is felt by every client; 50 ms is half a human blink. A busy loop alone is no reason to refuse anything
 * (it may be busy and prompt), so at its target of 1 it only keeps limits from growing.
 */
export const DEFAULT_TARGETS: LoadTargets = { loopLagMs: 20, utilization: 1, queueMs: 50 }

/** Weight of the newest sample: about four samples' memory. */
const SMOOTHING = 0.4
/** Below this pressure limits may grow; between it and 1 they hold, so that they do not flap. */
export const CALM_BELOW = 0.7

/** The measured load, smoothed, against its targets: 1 is as much as is wanted. Pure: it sees samples and nothing else. */
export class LoadPressure {
  #targets: LoadTargets
  #smoothed: LoadSample = { loopLagMs: 0, utilization: 0, queueMs: 0 }

  /** Throws INVALID_ARGUMENT unless the targets are above 0. */
  constructor(targets: LoadTargets) {
    this.#targets = valid(targets)
  }

  /** What was measured counts at once against the new targets. Throws as the constructor. */
  set targets(targets: LoadTargets) {
    this.#targets = valid(targets)
  }

  observe(sample: LoadSample): void {
    const before = this.#smoothed
    this.#smoothed = {
      loopLagMs: smooth(before.loopLagMs, sample.loopLagMs),
      utilization: smooth(before.utilization, sample.utilization),
      queueMs: smooth(before.queueMs, sample.queueMs),
    }
  }

  /** The figures that the pressure is made of. */
  get smoothed(): LoadSample {
    return this.#smoothed
  }

  get value(): number {
    return Math.max(...this.#shares())
  }

  /** The figure that the pressure comes from; undefined while it is not above 1. */
  get cause(): LoadCause | undefined {
    const [lag, utilization, queue] = this.#shares()
    const { value } = this
    if (value <= 1) return undefined
    if (lag === value) return 'loop-lag'
    return queue === value ? 'queue' : utilization === value ? 'utilization' : undefined
  }

  /** `calm`: limits may grow; `steady`: they hold; `pressed`: they shrink. */
  get state(): 'calm' | 'steady' | 'pressed' {
    const { value } = this
    if (value > 1) return 'pressed'
    return value < CALM_BELOW ? 'calm' : 'steady'
  }

  #shares(): readonly [number, number, number] {
    const { loopLagMs, utilization, queueMs } = this.#smoothed
    const targets = this.#targets
    return [loopLagMs / targets.loopLagMs, utilization / targets.utilization, queueMs / targets.queueMs]
  }
}

function valid(targets: LoadTargets): LoadTargets {
  if (targets.loopLagMs > 0 && targets.utilization > 0 && targets.queueMs > 0) return targets
  throw new WeirError('INVALID_ARGUMENT', 'measured load: every target must be above 0')
}

function smooth(before: number, value: number): number {
  return Number.isFinite(value) && value >= 0 ? before + SMOOTHING * (value - before) : before
}
