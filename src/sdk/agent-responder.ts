import { failureReply } from '../core/agent-failure.ts'
import type { CancelReason } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { AgentEvent } from '../core/event.ts'
import type { Probe } from '../core/probe.ts'
import type { AgentReply } from '../core/reply.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'
import { type Agent, HANDLER_OF, type Handled } from './agent.ts'
import { AgentRequest } from './agent-request.ts'
import { replyFor } from './answer.ts'
import { Configuration } from './configuration.ts'
import type { EventServer } from './event-server.ts'
import type { Responder } from './responder.ts'
import type { RequestEnd, ServedLink, Work } from './served-request.ts'

/** Who else wants to know of the links. */
export interface LinkHooks {
  opened?: ((link: ProxyLink) => void) | undefined
  closed?: ((link: ProxyLink, reason: WeirError) => void) | undefined
}

/** Calls an author's handlers and turns what they return, or throw, into replies. */
export class AgentResponder<State extends object> implements Responder<AgentRequest<State>> {
  readonly #agent: Agent<State>
  readonly #probe: Probe
  readonly #clock: Clock
  readonly #configuration: Configuration
  readonly #hooks: LinkHooks
  #server!: EventServer<AgentRequest<State>>

  constructor(agent: Agent<State>, probe: Probe, clock: Clock, hooks: LinkHooks) {
    this.#hooks = hooks
    this.#agent = agent
    this.#probe = probe
    this.#clock = clock
    this.#configuration = new Configuration((config, facts) => agent.onConfigure?.(config, facts))
  }

  /** Once, before the first link. */
  attach(server: EventServer<AgentRequest<State>>): void {
    this.#server = server
  }

  start(served: ServedLink, event: AgentEvent): AgentRequest<State> {
    return new AgentRequest(served, event.correlationId, this.#server)
  }

  respond(event: AgentEvent, request: AgentRequest<State>): AgentReply | Promise<AgentReply> {
    const returned = this.#handle(event, request)
    if (isThenable(returned)) return this.#later(event, returned)
    return replyFor(event, returned)
  }

  failure(work: Work, thrown: unknown, link: ProxyLink): AgentReply {
    const error = WeirError.from(thrown)
    const what = work.kind === 'malformed' ? 'an event that cannot be read' : HANDLER_OF[work.kind]
    const message = `${this.#agent.name}: ${what} failed: ${error.message}`
    this.#probe.notice?.('error', message, { correlationId: work.correlationId, error })
    link.sendLog({
      level: 'error',
      message,
      correlationId: work.correlationId,
      fields: { code: error.code },
      timestampMs: this.#clock.wallMs(),
    })
    return failureReply(work.correlationId, error, 500)
  }

  ended(request: AgentRequest<State>, end: RequestEnd, reason: CancelReason | undefined): void {
    if (end === 'cancelled' && reason !== undefined) this.#tellCancel(request, reason)
    request.release(end, reason)
  }

  async configure(config: unknown, version: string | undefined, isInitial: boolean): Promise<void> {
    if (this.#agent.onConfigure === undefined) return
    await this.#configuration.configure(config, { version, isInitial })
  }

  linkOpened(link: ProxyLink): void {
    this.#hooks.opened?.(link)
  }

  linkClosed(link: ProxyLink, reason: WeirError): void {
    this.#hooks.closed?.(link, reason)
  }

  #handle(event: AgentEvent, request: AgentRequest<State>): Handled {
    const agent = this.#agent
    switch (event.kind) {
      case 'request-headers':
        return agent.onRequestHeaders?.(event, request)
      case 'request-body-chunk':
        return agent.onRequestBody?.(event, request)
      case 'response-headers':
        return agent.onResponseHeaders?.(event, request)
      case 'response-body-chunk':
        return agent.onResponseBody?.(event, request)
      case 'request-complete':
        return agent.onRequestComplete?.(event, request)
      case 'websocket-frame':
        return agent.onWebSocketFrame?.(event, request)
      case 'guardrail-inspect':
        return agent.onGuardrail?.(event, request)
      case 'configure':
        return undefined
    }
  }

  async #later(event: AgentEvent, returned: PromiseLike<unknown>): Promise<AgentReply> {
    return replyFor(event, await returned)
  }

  #tellCancel(request: AgentRequest<State>, reason: CancelReason): void {
    try {
      this.#agent.onCancel?.(request, reason)
    } catch (thrown) {
      this.#probe.notice?.(
        'error',
        `${this.#agent.name}: onCancel failed: ${WeirError.from(thrown).message}`,
        {
          correlationId: request.correlationId,
        },
      )
    }
  }
}

/** Whatever can be awaited; a handler may use promises of its own making. */
function isThenable(returned: unknown): returned is PromiseLike<unknown> {
  return typeof (returned as PromiseLike<unknown> | undefined)?.then === 'function'
}
