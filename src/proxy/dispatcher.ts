import type { CancelReason } from '../core/agent-messages.ts'
import type { AgentEvent, RequestCompleteEvent } from '../core/event.ts'
import type { Chain } from './chain.ts'
import type { RequestFactsIn, RequestScope } from './request-scope.ts'
import type { Verdict } from './verdict.ts'

/** The door between front ends and agents. Front ends know nothing below it. */
export interface Dispatcher {
  /** Starts a request. Throws DRAINING while the process drains, OVERLOADED at the limit of open requests. */
  open(chain: Chain, facts: RequestFactsIn): RequestScope

  /**
   * Asks the chain's agents that want this kind of event. Never rejects: a failure is a verdict by the agent's
   * failure mode. `event.correlationId` must be the scope's. Resolves within the largest deadline of the chain.
   */
  dispatch(event: AgentEvent, scope: RequestScope): Promise<Verdict>

  /** The request is over: agents that want it get `request-complete`, pins are freed. Idempotent. */
  close(scope: RequestScope, summary: RequestCompleteEvent | undefined): void

  /** The client is gone, or the request failed elsewhere: agents are told to stop, then as `close`. */
  abort(scope: RequestScope, reason: CancelReason): void

  /** Requests open now. */
  readonly openRequests: number

  /** Refuses new requests, waits for open ones up to the deadline, aborts the rest. Twice: the same promise. */
  drain(timeoutMs: number): Promise<void>
}
