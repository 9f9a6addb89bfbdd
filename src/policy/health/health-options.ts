/** Thresholds of one agent's connections; every field optional. */
export interface HealthOptions {
  /** Failures in a row that eject at once. Default 3, the protocol's own number. */
  readonly consecutiveFailures?: number
  /** Milliseconds in which old evidence loses half its weight. Default 10,000. */
  readonly halfLifeMs?: number
  /** Score below which a healthy connection becomes degraded. Default 0.8. */
  readonly degradeBelow?: number
  /** Score above which a degraded connection becomes healthy; above `degradeBelow`, or it flaps. Default 0.9. */
  readonly recoverAbove?: number
  /** Score below which a connection is ejected. Default 0.5. */
  readonly ejectBelow?: number
  /** Factor on the weight while degraded. Default 0.5. */
  readonly degradedFactor?: number
  /** Pings in a row without answer that eject. Default 2. */
  readonly missedPings?: number
  /** Milliseconds with events waiting and not one reply that eject. Default 10,000. */
  readonly stallMs?: number
  /** First pause before a trial, milliseconds; doubles per failed trial, jittered. Default 1000. */
  readonly pauseMs?: number
  /** Ceiling of the pause, milliseconds. Default 60,000. */
  readonly maxPauseMs?: number
  /** Milliseconds after which a trial without outcome makes room for the next. Default 30,000. */
  readonly trialTimeoutMs?: number
}

/** The same with every default filled in. */
export type HealthSettings = Readonly<Required<HealthOptions>>

export function healthSettings(options: HealthOptions = {}): HealthSettings {
  return Object.freeze({
    consecutiveFailures: options.consecutiveFailures ?? 3,
    halfLifeMs: options.halfLifeMs ?? 10_000,
    degradeBelow: options.degradeBelow ?? 0.8,
    recoverAbove: options.recoverAbove ?? 0.9,
    ejectBelow: options.ejectBelow ?? 0.5,
    degradedFactor: options.degradedFactor ?? 0.5,
    missedPings: options.missedPings ?? 2,
    stallMs: options.stallMs ?? 10_000,
    pauseMs: options.pauseMs ?? 1000,
    maxPauseMs: options.maxPauseMs ?? 60_000,
    trialTimeoutMs: options.trialTimeoutMs ?? 30_000,
  })
}
