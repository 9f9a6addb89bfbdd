import { failureReply } from '../../core/agent-failure.ts'
import type { CancelReason } from '../../core/agent-messages.ts'
import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import {
  type AgentEvent,
  type BodyChunkEvent,
  EVENT_KINDS,
  type RequestHeadersEvent,
} from '../../core/event.ts'
import type { Probe } from '../../core/probe.ts'
import { type AgentReply, plainAllow, reply } from '../../core/reply.ts'
import type { Chain } from '../../proxy/chain.ts'
import type { Dispatcher } from '../../proxy/dispatcher.ts'
import type { RequestScope } from '../../proxy/request-scope.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import type { EventServer } from '../../sdk/event-server.ts'
import type { Responder } from '../../sdk/responder.ts'
import type { RequestEnd, ServedLink, Work } from '../../sdk/served-request.ts'
import type { ProxyLink } from '../../transport/proxy-link.ts'
import { type ChainSource, chooseChain, isOpening, type OpeningEvent } from './chain-choice.ts'
import { clientAddress } from './client-address.ts'
import { EventFacts, ProxiedRequest } from './proxied-request.ts'
import { BYPASS_TAG, tooLarge, verdictReply } from './verdict-reply.ts'

export interface ChainResponderParts {
  readonly dispatcher: Dispatcher
  readonly chains: ChainSource
  readonly clock: Clock
  readonly probe: Probe
  /** Key of the sticky session a request belongs to, where its route has such sessions. */
  readonly sessionKey?: ((chain: Chain, event: RequestHeadersEvent) => string | undefined) | undefined
}

/** Answers a proxy's events with what the agents of a chain say. */
export class ChainResponder implements Responder<ProxiedRequest> {
  readonly #parts: ChainResponderParts
  #server!: EventServer<ProxiedRequest>

  constructor(parts: ChainResponderParts) {
    this.#parts = parts
  }

  /** Once, before the first link. */
  attach(server: EventServer<ProxiedRequest>): void {
    this.#server = server
  }

  start(served: ServedLink, event: AgentEvent): ProxiedRequest {
    return new ProxiedRequest(served, event.correlationId)
  }

  respond(event: AgentEvent, request: ProxiedRequest): AgentReply | Promise<AgentReply> {
    /* Some proxies take a request's id from its client, so headers may come again under an id that is in use. */
    if (event.kind === 'request-headers' || (request.place === undefined && isOpening(event)))
      request.place = this.#open(event, request)
    const { place } = request
    if (event.kind === 'request-complete') {
      if (place !== undefined && !(place instanceof WeirError))
        this.#parts.dispatcher.close(place, { ...event, correlationId: place.correlationId })
      return plainAllow(event.correlationId)
    }
    if (place === undefined) return this.failure(event, unknownRequest(event), request.served.link)
    if (place instanceof WeirError) return this.failure(event, place, request.served.link)
    this.#server.keep(request)
    if (event.kind === 'request-body-chunk' || event.kind === 'response-body-chunk')
      return this.#askBody(event, place, request)
    return this.#ask(event, place, request)
  }

  failure(work: Work, thrown: unknown, link: ProxyLink): AgentReply {
    const error = WeirError.from(thrown)
    this.#parts.probe.notice?.(
      'warn',
      `an event of the proxy at ${link.peer} was refused: ${error.message}`,
      {
        code: error.code,
        phase: work.kind,
      },
    )
    return failureReply(work.correlationId, error)
  }

  ended(request: ProxiedRequest, end: RequestEnd, reason: CancelReason | undefined): void {
    const { place } = request
    if (place === undefined || place instanceof WeirError) return
    const { dispatcher } = this.#parts
    switch (end) {
      case 'cancelled':
        dispatcher.abort(place, reason ?? 'manual')
        return
      case 'link-closed':
        dispatcher.abort(place, 'proxy-shutdown')
        return
      case 'completed':
      case 'expired':
      case 'evicted':
        dispatcher.close(place, undefined)
    }
  }

  configure(
    config: unknown,
    _version: string | undefined,
    _isInitial: boolean,
    link: ProxyLink,
  ): Promise<void> {
    if (!isEmpty(config))
      this.#parts.probe.notice?.(
        'info',
        `the proxy at ${link.peer} sent a configuration, which is accepted and not used: agents are configured here`,
      )
    return Promise.resolve()
  }

  /** Opens our request for the proxy's. The longest idle one gives way when too many are open. */
  #open(event: OpeningEvent, request: ProxiedRequest): RequestScope | WeirError {
    const { place } = request
    if (place !== undefined && !(place instanceof WeirError)) this.#parts.dispatcher.close(place, undefined)
    try {
      const chain = chooseChain(this.#parts.chains, event, request.served.link)
      const facts = this.#factsOf(event, chain)
      if (event.kind === 'request-headers') {
        request.requestId = event.metadata.requestId
        request.method = event.method
        request.path = event.uri.split('?', 1)[0]!
      }
      try {
        return this.#parts.dispatcher.open(chain, facts)
      } catch (thrown) {
        if (WeirError.from(thrown).code !== 'OVERLOADED' || !this.#server.evictOldest()) throw thrown
        return this.#parts.dispatcher.open(chain, facts)
      }
    } catch (thrown) {
      return WeirError.from(thrown)
    }
  }

  #factsOf(event: OpeningEvent, chain: Chain): EventFacts {
    if (event.kind === 'request-headers') {
      const { metadata } = event
      const session = this.#parts.sessionKey?.(chain, event)
      return new EventFacts(clientAddress(metadata.clientIp).ip, event.headers, session, metadata.traceparent)
    }
    const clientIp = event.kind === 'websocket-frame' ? clientAddress(event.clientIp).ip : ''
    return new EventFacts(clientIp, [], undefined, undefined)
  }

  /** The proxy decides how a body is cut and how much of it is sent; every part that comes is asked about. */
  #askBody(
    event: BodyChunkEvent,
    scope: RequestScope,
    request: ProxiedRequest,
  ): AgentReply | Promise<AgentReply> {
    const { chain } = scope
    const plan = event.kind === 'request-body-chunk' ? chain.requestBody : chain.responseBody
    if (plan.mode === 'none' || event.bytesTransferred <= plan.maxBytes)
      return this.#ask(event, scope, request)
    if (plan.onTooLarge === 'reject') return this.failure(event, tooLarge(plan.maxBytes), request.served.link)
    for (const agent of chain.passUnseen(event.kind))
      this.#parts.probe.bypass?.(agent, event.kind, 'too-large')
    const audit = { tags: [BYPASS_TAG], ruleIds: [], reasonCodes: ['TOO_LARGE'], custom: {} }
    return reply(event.correlationId, { kind: 'allow' }, { audit })
  }

  async #ask(event: AgentEvent, scope: RequestScope, request: ProxiedRequest): Promise<AgentReply> {
    const verdict = await this.#parts.dispatcher.dispatch(ours(event, scope.correlationId), scope)
    if (verdict.decision.kind === 'allow') {
      /* Whether the proxy hands the chunk on at once is not known here: assume the worse. */
      if (event.kind === 'request-body-chunk') scope.requestBodyCommitted = true
      else if (event.kind === 'response-body-chunk') scope.responseBodyCommitted = true
    }
    if (this.#parts.probe.requestDone !== undefined) this.#report(event, verdict, scope, request)
    /* Many proxies never tell that a request is complete: what no agent waits for is not kept open for it. */
    if (event.kind === 'request-headers' && !wantsMore(scope.chain))
      this.#parts.dispatcher.close(scope, undefined)
    return verdictReply(verdict, event, event.correlationId)
  }

  /** Once per request, and again for a later event that was not let through. */
  #report(event: AgentEvent, verdict: Verdict, scope: RequestScope, request: ProxiedRequest): void {
    const { decision, error } = verdict
    if (event.kind !== 'request-headers' && decision.kind === 'allow') return
    this.#parts.probe.requestDone?.({
      correlationId: scope.correlationId,
      requestId: request.requestId,
      route: scope.chain.name,
      method: request.method,
      path: request.path,
      status: statusOf(verdict),
      durationMs: this.#parts.clock.now() - request.startedAt,
      decision: error === undefined ? decision.kind : 'error',
      decidedBy: verdict.decidedBy,
      error: error?.code,
      bypassed: verdict.bypassed.map((bypass) => bypass.agent),
    })
  }
}

/** The event under our own id, its client address without a port. */
function ours(event: AgentEvent, correlationId: string): AgentEvent {
  if (event.kind !== 'request-headers') return { ...event, correlationId }
  const { ip, port } = clientAddress(event.metadata.clientIp)
  if (ip === event.metadata.clientIp) return { ...event, correlationId }
  const metadata = { ...event.metadata, clientIp: ip, clientPort: event.metadata.clientPort || port }
  return { ...event, correlationId, metadata }
}

/** What the client will see as far as is known here; an allowed request's own status is the upstream's to give. */
function statusOf({ decision }: Verdict): number {
  switch (decision.kind) {
    case 'allow':
      return 200
    case 'challenge':
      return 401
    default:
      return decision.status
  }
}

/** Some agent wants an event that comes after the request's headers. */
function wantsMore(chain: Chain): boolean {
  return EVENT_KINDS.some((kind) => kind !== 'request-headers' && kind !== 'configure' && chain.wants(kind))
}

function unknownRequest(event: AgentEvent): WeirError {
  return new WeirError(
    'AFFINITY_LOST',
    `a ${event.kind} event came for a request that is not known here: send its headers first, on the same connection`,
    { sent: false },
  )
}

function isEmpty(config: unknown): boolean {
  if (config === undefined || config === null) return true
  return typeof config === 'object' && !Array.isArray(config) && Object.keys(config).length === 0
}
