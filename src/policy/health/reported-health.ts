import type { HealthReport, HealthState } from '../../core/agent-messages.ts'

/** A degraded agent may ask for more time, within reason: deadlines exist to protect the proxy's clients. */
const MAX_TIMEOUT_MULTIPLIER = 10

/** What the agent last said of itself on one connection, until it says otherwise or the report runs out. */
export class ReportedHealth {
  #state: HealthState = 'healthy'
  #validUntil = Number.POSITIVE_INFINITY
  #timeoutMultiplier = 1

  /** `wallMs` is the clock's wall time; only differences of the report's instants are used when it has both. */
  apply(report: HealthReport, now: number, wallMs: number): void {
    const validForMs = validity(report, wallMs)
    if (!(validForMs > 0)) return
    this.#state = report.state
    this.#validUntil = now + validForMs
    const wanted = report.state === 'degraded' ? (report.timeoutMultiplier ?? 1) : 1
    this.#timeoutMultiplier = wanted >= 1 ? Math.min(wanted, MAX_TIMEOUT_MULTIPLIER) : 1
  }

  /** `healthy` also when nothing was said. */
  state(now: number): HealthState {
    if (this.#state !== 'healthy' && now >= this.#validUntil) {
      this.#state = 'healthy'
      this.#timeoutMultiplier = 1
    }
    return this.#state
  }

  /** Factor for deadlines, 1 to 10; above 1 only while degraded. */
  timeoutMultiplier(now: number): number {
    this.state(now)
    return this.#timeoutMultiplier
  }
}

/**
 * Milliseconds the report stays valid. The agent's clock may be off by minutes, so its own two instants are
 * compared when both are there; a report without end is valid until the next.
 */
function validity(report: HealthReport, wallMs: number): number {
  const { validUntilMs, timestampMs } = report
  if (validUntilMs === undefined || validUntilMs <= 0) return Number.POSITIVE_INFINITY
  return validUntilMs - (timestampMs > 0 ? timestampMs : wallMs)
}
