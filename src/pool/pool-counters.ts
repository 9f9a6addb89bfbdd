import type { BypassReason } from '../core/probe.ts'
import { FailureWindow } from '../policy/breaker/failure-window.ts'
import type { FlowChange } from '../policy/flow-gate.ts'
import type { LeaseOutcome } from './lease.ts'

/** Span of the error rate, milliseconds. */
const RATE_WINDOW_MS = 60_000
/** Share of each new reading in the queue average. */
const QUEUE_SHARE = 0.1

export interface CounterSnapshot {
  /** Events that were answered or failed. */
  readonly requests: number
  readonly errors: number
  readonly timeouts: number
  /** Events with a usable reply. */
  readonly responses: number
  /** Events whose connection ended before their reply. */
  readonly connectionErrors: number
  /** Of the last minute, 0 to 1. */
  readonly errorRate: number
  readonly strays: number
  readonly ejections: number
  /** Connections made, the first ones included. */
  readonly connected: number
  /** Connections that ended other than by retirement and drain; each was or is being replaced. */
  readonly lost: number
  readonly dialFailures: number
  readonly retired: number
  /** Pauses and resumes that the agent asked for, of connections and of single bodies. */
  readonly pauses: number
  readonly resumes: number
  /** Leases that a pause refused, whatever the caller made of it. */
  readonly flowRejections: number
  /** Events that went on without the agent. */
  readonly bypasses: Readonly<Record<BypassReason, number>>
  readonly queued: number
  readonly overflows: number
  readonly queueMsAverage: number
  readonly queueMsTotal: number
}

/** What happened in a pool since it was made; outlives the connections it happened on. */
export class PoolCounters {
  requests = 0
  errors = 0
  /** Leases that ended without an answer in time. */
  timeouts = 0
  responses = 0
  connectionErrors = 0
  strays = 0
  ejections = 0
  /** Connections made, the first ones included. */
  connected = 0
  /** Connections lost other than by retirement and drain. */
  lost = 0
  dialFailures = 0
  retired = 0
  pauses = 0
  resumes = 0
  /** Leases that a pause refused. */
  flowRejections = 0
  readonly bypasses: Record<BypassReason, number> = {
    paused: 0,
    'rate-limited': 0,
    banned: 0,
    'breaker-open': 0,
    unavailable: 0,
    overloaded: 0,
    timeout: 0,
    error: 0,
    'too-large': 0,
  }
  /** Callers that had to wait and were served. */
  queued = 0
  /** Callers refused because the queue was full. */
  overflows = 0
  /** Milliseconds that served callers waited, in sum and as a moving average. */
  queueMsTotal = 0
  queueMsAverage = 0
  readonly #recent = new FailureWindow(RATE_WINDOW_MS)

  countRelease(outcome: LeaseOutcome, now: number): void {
    if (outcome === 'cancelled' || outcome === 'not-sent') return
    this.requests++
    const isFailure = outcome !== 'replied'
    if (isFailure) this.errors++
    else this.responses++
    if (outcome === 'lost') this.connectionErrors++
    if (outcome === 'timeout') this.timeouts++
    this.#recent.count(isFailure, now)
  }

  countFlow(change: FlowChange): void {
    if (change === 'closed') this.pauses++
    else if (change === 'opened') this.resumes++
  }

  countQueued(queueMs: number): void {
    this.queued++
    this.queueMsTotal += queueMs
    this.queueMsAverage += (queueMs - this.queueMsAverage) * QUEUE_SHARE
  }

  snapshot(now: number): CounterSnapshot {
    return {
      requests: this.requests,
      errors: this.errors,
      timeouts: this.timeouts,
      responses: this.responses,
      connectionErrors: this.connectionErrors,
      errorRate: this.#recent.failureShare(now),
      strays: this.strays,
      ejections: this.ejections,
      connected: this.connected,
      lost: this.lost,
      dialFailures: this.dialFailures,
      retired: this.retired,
      pauses: this.pauses,
      resumes: this.resumes,
      flowRejections: this.flowRejections,
      bypasses: { ...this.bypasses },
      queued: this.queued,
      overflows: this.overflows,
      queueMsAverage: this.queueMsAverage,
      queueMsTotal: this.queueMsTotal,
    }
  }
}
