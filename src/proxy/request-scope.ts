import type { CancelReason } from '../core/agent-messages.ts'
import type { Chain } from './chain.ts'

/** What a front end knows of a request before any event of it. */
export interface RequestFactsIn {
  /** Sticky session or hash key; undefined: none. */
  readonly sessionKey?: string | undefined
  /** Address without port; a limit may be keyed by it. */
  readonly clientIp: string
  /** Looks up a request header by lower-case name, for limits keyed by one. Called at most once per limit. */
  readonly header?: ((name: string) => string | undefined) | undefined
  readonly traceparent?: string | undefined
}

/**
 * One proxied request on its way past a chain of agents: its correlation id and the connections that its
 * earlier events went to. Made by `Dispatcher.open`, ended by `Dispatcher.close`. Holds ids, never
 * connections.
 */
export interface RequestScope {
  readonly chain: Chain
  readonly correlationId: string
  readonly facts: RequestFactsIn
  readonly isClosed: boolean
  /** Bytes of the request or response body were handed on: fail-open can no longer pretend nothing happened. */
  bodyCommitted: boolean
}

export type { CancelReason }
