import type { ErrorCode } from './errors.ts'
import type { EventKind } from './event.ts'

/** Why an agent was not asked, or its failure not enforced. Bounded: these are metric labels. */
export type BypassReason =
  | 'paused'
  | 'rate-limited'
  | 'banned'
  | 'breaker-open'
  | 'unavailable'
  | 'overloaded'
  | 'timeout'
  | 'error'
  | 'too-large'

/**
 * What happens, as it happens, for logs, metrics and traces. Every member is optional: the hot path asks for
 * the member first, so nobody listening costs one property read.
 */
export interface Probe {
  /** One event was settled by one agent. Times in milliseconds. */
  agentCall?(call: AgentCallFacts): void
  /** An agent was skipped by its failure mode, or a limited or paused agent was skipped. */
  bypass?(agent: string, phase: EventKind, reason: BypassReason): void
  connectionOpened?(agent: string, connection: number, transport: string, peer: string): void
  connectionClosed?(agent: string, connection: number, reason: string): void
  dialFailed?(agent: string, endpoint: string, reason: string, retryInMs: number): void
  breakerChanged?(agent: string, state: 'closed' | 'open' | 'half-open'): void
  strayReply?(agent: string): void
  agentLog?(agent: string, level: 'debug' | 'info' | 'warn' | 'error', message: string): void
  /** One HTTP request (or one event of a gRPC proxy) was answered. */
  requestDone?(facts: RequestFacts): void
  /** Something that an operator should read, already a sentence. */
  notice?(level: 'info' | 'warn' | 'error', message: string, facts?: Record<string, unknown>): void
}

export interface AgentCallFacts {
  readonly agent: string
  readonly phase: EventKind
  readonly transport: string
  /** `allow`, `block`, ... or the error code. */
  readonly outcome: string
  /** It failed, and the request was refused for it: neither let pass nor given up by its client. */
  readonly isDenied: boolean
  readonly durationMs: number
  readonly queueMs: number
  readonly correlationId: string
  /** W3C trace context of the request, when it had one. */
  readonly traceparent?: string | undefined
}

export interface RequestFacts {
  readonly correlationId: string
  readonly requestId: string
  readonly route: string
  readonly method: string
  /** Path without query: queries carry secrets. */
  readonly path: string
  readonly status: number
  readonly durationMs: number
  readonly decision: 'allow' | 'block' | 'redirect' | 'challenge' | 'error'
  /** Agent that decided, when one did. */
  readonly decidedBy?: string | undefined
  readonly error?: ErrorCode | undefined
  /** The failure in words, addresses of peers included: for operators, never for clients. */
  readonly reason?: string | undefined
  readonly bypassed: readonly string[]
}

export const SILENT: Probe = Object.freeze({})
