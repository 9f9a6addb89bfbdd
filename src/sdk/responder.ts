import type { CancelReason } from '../core/agent-messages.ts'
import type { WeirError } from '../core/errors.ts'
import type { AgentEvent } from '../core/event.ts'
import type { AgentReply } from '../core/reply.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'
import type { RequestEnd, ServedLink, ServedRequest, Work } from './served-request.ts'

/** What answers the events of an `EventServer`: an author's handlers, or a chain of other agents. */
export interface Responder<R extends ServedRequest> {
  /** Makes the record of a request that is not listed; `event` is its first, or one after it was forgotten. */
  start(served: ServedLink, event: AgentEvent): R
  /** Exactly one answer per event. May throw or reject. */
  respond(event: AgentEvent, request: R): AgentReply | Promise<AgentReply>
  /** The answer to an event that failed: never an allow. Must not throw. */
  failure(work: Work, error: unknown, link: ProxyLink): AgentReply
  /** A listed request is over. Must not throw. */
  ended(request: R, end: RequestEnd, reason: CancelReason | undefined): void
  configure(config: unknown, version: string | undefined, isInitial: boolean, link: ProxyLink): Promise<void>
  linkOpened?(link: ProxyLink): void
  linkClosed?(link: ProxyLink, reason: WeirError): void
}
