import type { WeirError } from '../core/errors.ts'
import type { AgentEvent, EventKind } from '../core/event.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'

/** A payload that did not decode; it keeps its place in the order of its request, to be answered as a failure. */
export interface MalformedEvent {
  readonly kind: 'malformed'
  readonly correlationId: string
  readonly error: WeirError
}

/** What a request can be asked about. */
export type Work = AgentEvent | MalformedEvent
/** Phase of a piece of work, for logs. */
export type WorkKind = EventKind | 'malformed'

/** One proxy link and what is known of it. Made by the event server when the link opens. */
export interface ServedLink {
  readonly link: ProxyLink
  /** Listed requests by the proxy's correlation id. */
  readonly requests: Map<string, ServedRequest>
  /** Work queued behind busy requests. */
  waiting: number
}

/**
 * One proxied request as the agent's end of the protocol sees it. Listed in the request table only while
 * something must be remembered: a handler that has not finished, or state that a later event will read.
 *
 * idle -> busy (a handler runs) -> idle ...; any -> ended, which is final.
 */
export class ServedRequest {
  readonly served: ServedLink
  /** The proxy's, unique among the requests of one link. */
  readonly correlationId: string
  phase: 'idle' | 'busy' | 'ended' = 'idle'
  /** Remembered between events, until it ends. */
  isKept = false
  /** Events of this request that arrived while it was busy, oldest first. */
  backlog: Work[] | undefined = undefined
  /** Clock instant at which the running handler was called, milliseconds. */
  startedAt = 0

  /* These belong to the request table. */
  isListed = false
  older: ServedRequest | null = null
  newer: ServedRequest | null = null
  restingSince = 0

  constructor(served: ServedLink, correlationId: string) {
    this.served = served
    this.correlationId = correlationId
  }
}

/** Why a request is over. */
export type RequestEnd =
  | 'completed'
  | 'cancelled'
  | 'link-closed'
  /** No event for the idle TTL. */
  | 'expired'
  /** The oldest idle one gave way at the bound. */
  | 'evicted'
