import type { CancelReason } from '../core/agent-messages.ts'
import { WeirError } from '../core/errors.ts'
import type { RequestContext } from './agent.ts'
import type { EventServer } from './event-server.ts'
import { type RequestEnd, type ServedLink, ServedRequest } from './served-request.ts'

const WHY: Readonly<Record<RequestEnd, string>> = {
  completed: 'the request is complete',
  cancelled: 'the proxy cancelled the request',
  'link-closed': 'the connection to the proxy was lost',
  expired: 'the request was idle for too long',
  evicted: 'too many requests are remembered',
}

/** The record of one request, which is also the context its handlers get. */
export class AgentRequest<State extends object> extends ServedRequest implements RequestContext<State> {
  readonly #server: EventServer<AgentRequest<State>>
  #abort: AbortController | undefined
  #state: Partial<State> | undefined
  #end: { readonly how: RequestEnd; readonly reason: CancelReason | undefined } | undefined

  constructor(served: ServedLink, correlationId: string, server: EventServer<AgentRequest<State>>) {
    super(served, correlationId)
    this.#server = server
  }

  get proxyId(): string {
    return this.served.link.proxyId
  }

  get peer(): string {
    return this.served.link.peer
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#end !== undefined) this.#fire()
      else this.#server.watch(this)
    }
    return this.#abort.signal
  }

  get state(): Partial<State> {
    if (this.#state === undefined) {
      this.#state = {}
      this.#server.keep(this)
    }
    return this.#state
  }

  /** The request is over: whoever listens is told, and the notes are let go. */
  release(how: RequestEnd, reason: CancelReason | undefined): void {
    this.#end = { how, reason }
    this.#state = undefined
    if (how === 'cancelled' || how === 'link-closed') this.#fire()
  }

  #fire(): void {
    const { how, reason } = this.#end!
    const message = reason === undefined ? WHY[how] : `${WHY[how]}: ${reason}`
    this.#abort?.abort(new WeirError(how === 'link-closed' ? 'CONNECTION_LOST' : 'CANCELLED', message))
  }
}
