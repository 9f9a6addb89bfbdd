import type { WeirError } from '../core/errors.ts'
import type { BypassReason } from '../core/probe.ts'
import type { Audit, BodyMutation, Decision, HeaderOp, WebSocketDecision } from '../core/reply.ts'

export interface Bypass {
  readonly agent: string
  readonly reason: BypassReason
}

/** What a chain of agents says about one event, for the front end to enforce. */
export interface Verdict {
  /** A failure that the failure mode turned into a denial is a `block` with `error` set. */
  readonly decision: Decision
  /** Agent whose decision or failure this is; undefined when all allowed. */
  readonly decidedBy: string | undefined
  /** Set when the denial comes from a failure, not from an agent's decision. */
  readonly error: WeirError | undefined
  /** In the order of the chain; of the deciding agent alone when it did not allow. */
  readonly requestHeaders: readonly HeaderOp[]
  readonly responseHeaders: readonly HeaderOp[]
  readonly routingMetadata: Readonly<Record<string, string>>
  readonly audit: Audit
  readonly needsMore: boolean
  readonly bodyMutation: BodyMutation | undefined
  readonly websocketDecision: WebSocketDecision | undefined
  /** Agents that were not heard, and why. */
  readonly bypassed: readonly Bypass[]
}
