import type { CancelReason, LoadMetrics } from '../core/agent-messages.ts'

/** Latest handler times kept for percentiles; enough for a p99 with five samples above it. */
const SAMPLES = 512

/** Counts the handlers of one agent and remembers how long the latest of them took. */
export class Workload {
  readonly #latest = new Float64Array(SAMPLES)
  #finished = 0
  #inFlight = 0
  #rejected = 0
  #timedOut = 0

  get inFlight(): number {
    return this.#inFlight
  }

  started(): void {
    this.#inFlight++
  }

  finished(tookMs: number): void {
    this.#inFlight--
    this.#latest[this.#finished++ % SAMPLES] = tookMs
  }

  rejected(): void {
    this.#rejected++
  }

  cancelled(reason: CancelReason): void {
    if (reason === 'timeout') this.#timedOut++
  }

  /** `queueDepth`: events that wait for their turn. */
  report(queueDepth: number): LoadMetrics {
    const sorted = this.#latest.slice(0, Math.min(this.#finished, SAMPLES)).sort()
    const count = sorted.length
    const at = (share: number): number => sorted[Math.min(count - 1, Math.floor(share * count))] ?? 0
    let sum = 0
    for (const sample of sorted) sum += sample
    return {
      inFlight: this.#inFlight,
      queueDepth,
      avgLatencyMs: count === 0 ? 0 : sum / count,
      p50LatencyMs: at(0.5),
      p95LatencyMs: at(0.95),
      p99LatencyMs: at(0.99),
      requestsProcessed: this.#finished,
      requestsRejected: this.#rejected,
      requestsTimedOut: this.#timedOut,
    }
  }
}
