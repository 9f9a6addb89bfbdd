import type { WeirError } from '../core/errors.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** Why no connection could be leased in this turn. */
export type Refusal =
  /** No live connection. */
  | 'unavailable'
  /** Every live connection is paused by its agent, or this request's body is (a byte window of 0 included). */
  | 'paused'
  /** Every open connection carries as many events, or this one as many bytes of bodies, as it may. */
  | 'full'
  | 'draining'
  | 'breaker-open'
  /** The connection that has the earlier events of this request is gone. */
  | 'affinity-lost'

/** What the choice of a connection may look at. Embedded in the caller's own record. */
export interface LeaseHints {
  readonly correlationId: string
  /** Sticky session or hash key; undefined: none. */
  readonly sessionKey: string | undefined
  /** Id of the connection that has this request's earlier events; 0: free choice. */
  readonly pinnedTo: number
  /** Id of a connection that just failed before sending; 0: none. */
  readonly avoid: number
  /**
   * Whether the event is a body chunk. An agent may pause the body of one request alone; its other events still
   * go. Absent: treated as a body chunk.
   */
  readonly isBody?: boolean | undefined
  /** Bytes of the body chunk, counted against the agent's byte windows; absent: 0. */
  readonly bodyBytes?: number | undefined
  /** Written by the connection: what a body chunk is counted under while it is leased. */
  flowSerial?: number
}

/**
 * A caller in the pool's bounded queue. The links belong to the queue. Exactly one of the two is called, once,
 * unless the waiter is withdrawn first.
 */
export interface LeaseWaiter extends LeaseHints {
  waiterPrev: LeaseWaiter | null
  waiterNext: LeaseWaiter | null
  isWaiting: boolean
  /** Clock milliseconds at which it joined; written by the queue. */
  waitingSince?: number | undefined
  /** It waits for somebody who is counted elsewhere. */
  readonly isStandIn?: boolean | undefined
  /**
   * It waited for room, and now nobody could serve it whatever room there is: whether it goes on waiting. Absent: it does.
   */
  outlasts?(refusal: 'paused' | 'unavailable'): boolean
  onLeased(connection: PooledConnection): void
  onRefused(error: WeirError): void
}

/** How a lease ended; feeds health, breaker and statistics. */
export type LeaseOutcome =
  /** A reply came. */
  | 'replied'
  /** No reply before the deadline. */
  | 'timeout'
  /** The reply was unusable, or the agent answered with its own error. */
  | 'bad-reply'
  /** The connection died under it. */
  | 'lost'
  /** Nothing was sent; says nothing about the agent. */
  | 'not-sent'
  /** The caller gave up; says nothing about the agent. */
  | 'cancelled'
