import type { Duplex, Readable } from 'node:stream'
import { WeirError } from '../../core/errors.ts'
import type { HeaderList } from '../../core/event.ts'
import type { HeaderOp } from '../../core/reply.ts'
import { NOT_ARMED, type WheelNode } from '../../core/timer-wheel.ts'
import type { RequestFactsIn, RequestScope } from '../../proxy/request-scope.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import { sessionKeyOf } from '../session-key.ts'
import { type Answer, answerOf, answerOfError } from './answer.ts'
import type { ClientRequest, ClientResponse, Peer, ResponseOwner } from './client-message.ts'
import { BYPASS_HEADER, CORRELATION_HEADER } from './field-names.ts'
import { addForwarding, clientAddress } from './forwarding.ts'
import type { Front, LiveRoute } from './front.ts'
import { applyOps, findField, type OpObserver, removeField, setField } from './header-list.ts'
import { linger } from './lingering.ts'
import type { HttpFrontendSettings } from './options.ts'
import { Outcome } from './outcome.ts'
import { requestHeadersEvent } from './request-event.ts'
import { RequestSide } from './request-side.ts'
import type { RequestTarget } from './request-target.ts'
import { ResponseHead } from './response-head.ts'
import { ResponseSide } from './response-side.ts'
import { switchProtocols, type UpgradeOffer } from './upgrade.ts'
import { UpstreamCall, type UpstreamOwner } from './upstream-call.ts'
import { openTunnel } from './websocket/open-tunnel.ts'
import type { Tunnel } from './websocket/tunnel.ts'

/** Largest piece of a list of bypassed agents that goes into one header. */
const MAX_BYPASS_HEADER = 1024

/**
 * One request of a client and its response: asks the agents phase by phase, carries out what they say, and
 * reports how it went. The phases in order: request head, request body, upstream, response head, response body.
 */
export class Exchange implements RequestFactsIn, ResponseOwner, UpstreamOwner, OpObserver, WheelNode {
  readonly request: ClientRequest
  readonly response: ClientResponse
  readonly route: LiveRoute
  readonly outcome: Outcome
  readonly clientIp: string
  readonly sessionKey: string | undefined
  /** The request's header fields as they will be forwarded. */
  readonly fields: string[]
  scope!: RequestScope
  wheelPrev: WheelNode | null = null
  wheelNext: WheelNode | null = null
  wheelSlot: number = NOT_ARMED
  deadlineAt = 0
  readonly #front: Front
  readonly #target: RequestTarget
  readonly #peer: Peer
  /** Set for a client that asked for WebSocket. */
  readonly #offer: UpgradeOffer | undefined
  readonly #requestSide: RequestSide
  readonly #responseSide: ResponseSide
  #call: UpstreamCall | undefined
  #tunnel: Tunnel | undefined
  /** `open` until something was decided about the response; `answered` by the upstream or by us; `closed`. */
  #state: 'open' | 'answered' | 'closed' = 'open'
  #responseOps: readonly HeaderOp[] | undefined
  #progressAt = 0
  /** When it was last looked at. */
  #unsentBytes = 0

  constructor(
    front: Front,
    route: LiveRoute,
    target: RequestTarget,
    host: string,
    request: ClientRequest,
    response: ClientResponse,
    peer: Peer,
    offer: UpgradeOffer | undefined,
  ) {
    this.#front = front
    this.route = route
    this.#target = target
    this.request = request
    this.response = response
    this.#peer = peer
    this.#offer = offer
    const { shape } = request
    const { settings } = front
    this.clientIp = clientAddress(peer, shape.forwardedFor, front.trusted)
    this.fields = shape.fields
    addForwarding(this.fields, shape, host, peer, settings.via)
    this.sessionKey =
      settings.sessionKey === undefined
        ? undefined
        : sessionKeyOf(settings.sessionKey, this.fields, this.clientIp)
    this.outcome = new Outcome(front.clock.now())
    this.#requestSide = new RequestSide(this)
    this.#responseSide = new ResponseSide(this)
  }

  /** For people and logs; the client may choose it. */
  get requestId(): string {
    return findField(this.fields, 'x-request-id') ?? this.scope.correlationId
  }

  get traceparent(): string | undefined {
    return findField(this.fields, 'traceparent')
  }

  /** For limits keyed by a header. */
  header(name: string): string | undefined {
    return findField(this.fields, name)
  }

  /** Throws what `Dispatcher.open` throws; the exchange is then not begun. */
  begin(): void {
    const { chain } = this.route
    this.scope = this.#front.dispatcher.open(chain, this)
    this.route.target.use()
    this.#front.openExchanges++
    this.response.owner = this
    if (!chain.wants('request-headers')) {
      this.#requestSide.start()
      return
    }
    void this.#askRequestHead().then((verdict) => {
      if (this.#state !== 'open' || !this.accept(verdict)) return
      this.bodyAllowed(verdict, false)
      this.#requestSide.start()
    })
  }

  #askRequestHead(): Promise<Verdict> {
    const port = this.clientIp === this.#peer.address ? this.#peer.port : 0
    const event = requestHeadersEvent(this, this.#target.pathAndQuery, port, this.#front.clock.wallMs())
    return this.#front.dispatcher.dispatch(event, this.scope)
  }

  askResponseHead(status: number, headers: HeaderList): Promise<Verdict> {
    const { scope } = this
    return this.#front.dispatcher.dispatch(
      { kind: 'response-headers', correlationId: scope.correlationId, status, headers },
      scope,
    )
  }

  askBody(
    kind: 'request-body-chunk' | 'response-body-chunk',
    data: Uint8Array,
    chunkIndex: number,
    isLast: boolean,
    totalSize: number | undefined,
    bytesTransferred: number,
  ): Promise<Verdict> {
    const { scope } = this
    const { correlationId } = scope
    return this.#front.dispatcher.dispatch(
      { kind, correlationId, data, chunkIndex, isLast, totalSize, bytesTransferred },
      scope,
    )
  }

  /** Notes what a verdict says; carries it out when it is no allow. False: the exchange was answered. */
  accept(verdict: Verdict): boolean {
    this.outcome.note(verdict)
    if (verdict.decision.kind === 'allow') return true
    this.deny(verdict)
    return false
  }

  /** An agent, or the failure of one, refused. Replaces the response, or cuts it when its head is out. */
  deny(verdict: Verdict): void {
    this.outcome.denied(verdict)
    this.#answer(answerOf(verdict, this.scope.correlationId, this))
  }

  /** Something else went wrong. `status` differs from the code's own where the fault is the upstream's. */
  fail(error: WeirError, status: number = error.httpStatus): void {
    this.outcome.failed(error)
    this.#answer(answerOfError(error, this.scope.correlationId, status))
  }

  /** Header operations that came with a final allow of a request chunk or head. */
  bodyAllowed(verdict: Verdict, isHeadSent: boolean): void {
    this.outcome.note(verdict)
    const { requestHeaders, responseHeaders } = verdict
    if (requestHeaders.length > 0) {
      if (isHeadSent || this.#call !== undefined) this.#tooLate('request')
      else applyOps(this.fields, requestHeaders, this)
    }
    if (responseHeaders.length > 0) {
      if (this.#state !== 'open') this.#tooLate('response')
      else this.#responseOps = [...(this.#responseOps ?? []), ...responseHeaders]
    }
  }

  bodySkipped(kind: 'request-body-chunk' | 'response-body-chunk'): void {
    for (const agent of this.route.chain.passUnseen(kind)) {
      this.outcome.bypassed(agent, 'too-large')
      this.#front.probe.bypass?.(agent, kind, 'too-large')
    }
  }

  /** Undefined: the upstream learns it when the body ends. */
  setRequestLength(length: number | undefined): void {
    if (length === undefined) removeField(this.fields, 'content-length')
    else setField(this.fields, 'content-length', String(length))
  }

  callUpstream(body: Buffer | Readable | null): void {
    if (this.#state !== 'open') return
    const { chain, target } = this.route
    /* Agents shall see plain bytes: what is compressed, or could be, cannot be inspected. */
    if (chain.wants('response-body-chunk') && chain.responseBody.mode !== 'none') {
      setField(this.fields, 'accept-encoding', 'identity')
    }
    if (this.#offer !== undefined && chain.wants('websocket-frame')) {
      removeField(this.fields, 'sec-websocket-extensions')
    }
    if (this.settings.forwardCorrelationId) this.fields.push(CORRELATION_HEADER, this.scope.correlationId)
    const call = new UpstreamCall(this)
    this.#call = call
    const upgrade = this.#offer === undefined ? null : 'websocket'
    call.start(target, this.request.method!, this.#target.pathAndQuery, this.fields, body, upgrade)
  }

  resumeUpstream(): void {
    this.#call?.resume()
  }

  /** Tells a client that asked first to go on with its body, and begins to watch it. HTTP/1.0 knows no 100. */
  continueBody(): void {
    const { shape, httpVersionMinor } = this.request
    if (shape.expect !== undefined && httpVersionMinor > 0) this.response.writeContinue()
    this.watchProgress()
  }

  upstreamHead(status: number, rawHeaders: readonly Buffer[]): boolean {
    return this.#responseSide.begin(status, rawHeaders)
  }

  upstreamData(chunk: Buffer): boolean {
    return this.#responseSide.push(chunk)
  }

  upstreamEnd(): void {
    this.#responseSide.end()
  }

  upstreamFailed(error: WeirError): void {
    this.fail(error)
  }

  upstreamUpgraded(status: number, rawHeaders: readonly Buffer[], socket: Duplex): void {
    if (this.#offer === undefined || this.#state !== 'open') {
      socket.destroy()
      this.fail(new WeirError('PROTOCOL_ERROR', 'the upstream switched protocols unasked'))
      return
    }
    const head = new ResponseHead(status, rawHeaders, false)
    this.applyPendingResponseOps(head.fields)
    if (!this.route.chain.wants('response-headers')) {
      this.#switch(head.fields, socket)
      return
    }
    const onLost = (): void => {
      this.fail(
        new WeirError('CONNECTION_LOST', 'the upstream ended the connection after switching protocols'),
      )
    }
    socket.once('close', onLost)
    void this.askResponseHead(status, head.fields).then((verdict) => {
      socket.off('close', onLost)
      if (this.#state !== 'open' || !this.accept(verdict)) {
        socket.destroy()
        return
      }
      this.applyResponseOps(head.fields, verdict.responseHeaders)
      this.#switch(head.fields, socket)
    })
  }

  #switch(fields: string[], upstream: Duplex): void {
    const front = this.#front
    if (
      this.route.chain.wants('websocket-frame') &&
      findField(fields, 'sec-websocket-extensions') !== undefined
    ) {
      upstream.destroy()
      this.fail(
        new WeirError('PROTOCOL_ERROR', 'the upstream agreed on a WebSocket extension nobody offered'),
      )
      return
    }
    this.#state = 'answered'
    this.#addOwnFields(fields)
    switchProtocols(this.response, this.#offer!, fields)
    const client = this.#offer!.socket
    this.#tunnel = openTunnel(this, front, client, upstream, () => {
      front.tunnels.delete(this.#tunnel!)
      this.responseClosed()
    })
    front.tunnels.add(this.#tunnel)
  }

  applyPendingResponseOps(fields: string[]): void {
    if (this.#responseOps === undefined) return
    applyOps(fields, this.#responseOps, this)
    this.#responseOps = undefined
  }

  applyResponseOps(fields: string[], ops: readonly HeaderOp[]): void {
    applyOps(fields, ops, this)
  }

  /** The point of no return: after this a refusal can only cut the response. */
  sendHead(status: number, fields: string[]): void {
    this.applyPendingResponseOps(fields)
    this.#state = 'answered'
    this.#writeHead(status, fields)
  }

  #writeHead(status: number, fields: string[]): void {
    this.#addOwnFields(fields)
    if (!this.#front.settings.keepAlive || this.#front.isDraining) this.response.shouldKeepAlive = false
    this.response.writeHead(status, fields)
  }

  #addOwnFields(fields: string[]): void {
    const { via } = this.#front.settings
    fields.push(CORRELATION_HEADER, this.scope.correlationId)
    const bypassed = this.outcome.bypassList
    if (bypassed !== '') fields.push(BYPASS_HEADER, bypassed.slice(0, MAX_BYPASS_HEADER))
    if (via !== undefined) fields.push('via', `1.1 ${via}`)
  }

  #answer(answer: Answer): void {
    if (this.#state === 'closed') return
    const isHeadSent = this.#state === 'answered'
    this.#state = 'answered'
    this.#requestSide.stop()
    this.#responseSide.stop()
    this.#call?.abort()
    if (isHeadSent) {
      this.#cut()
      return
    }
    const isBodyless = answer.status === 204 || answer.status === 304
    if (!isBodyless) answer.headers.push('content-length', String(Buffer.byteLength(answer.body)))
    this.#writeHead(answer.status, answer.headers)
    this.response.end(isBodyless ? undefined : answer.body)
    linger(this.request, this.#front)
  }

  /**
   * Ends the connection in a way that no client takes for the end of the response: in HTTP/1.0 a plain close
   * would be just that.
   */
  #cut(): void {
    const { socket } = this.response
    if (socket === null) this.response.destroy()
    else if (this.request.httpVersionMinor > 0) socket.destroy()
    else socket.resetAndDestroy()
  }

  get settings(): HttpFrontendSettings {
    return this.#front.settings
  }

  now(): number {
    return this.#front.clock.now()
  }

  noteProgress(): void {
    this.#progressAt = this.#front.clock.now()
  }

  /** From now on the client must send or take something every `bodyIdleTimeoutMs`. */
  watchProgress(): void {
    if (this.wheelSlot !== NOT_ARMED || this.#state === 'closed') return
    this.noteProgress()
    const idleAt = this.#progressAt + this.#front.settings.bodyIdleTimeoutMs
    this.#front.wheel.arm(this, Math.min(idleAt, this.#requestSide.dueAt))
  }

  onDeadline(): void {
    const { clock, wheel, settings } = this.#front
    const now = clock.now()
    const isWaiting = this.#requestSide.isWaitingForClient || this.#responseSide.isWaitingForClient
    const unsent = this.#responseSide.unsentBytes
    if (!isWaiting || unsent !== this.#unsentBytes) this.#progressAt = now
    this.#unsentBytes = unsent
    const bodyDueAt = this.#requestSide.dueAt
    const due = Math.min(this.#progressAt + settings.bodyIdleTimeoutMs, bodyDueAt)
    if (due > now) {
      wheel.arm(this, due)
      return
    }
    const what =
      bodyDueAt <= now ? 'sends its body too slowly' : `did nothing for ${settings.bodyIdleTimeoutMs} ms`
    this.response.shouldKeepAlive = false
    this.fail(new WeirError('TIMEOUT', `the client ${what}`), 408)
  }

  responseDrained(): void {
    this.#responseSide.drained()
  }

  /** The client broke the protocol within its request. */
  requestBroken(error: WeirError): void {
    this.response.shouldKeepAlive = false
    this.fail(error)
  }

  /** The response went out, or the client went away. */
  responseClosed(): void {
    if (this.#state === 'closed') return
    const wasAnswered = this.#state === 'answered'
    this.#state = 'closed'
    this.#front.wheel.disarm(this)
    this.#requestSide.stop()
    this.#responseSide.stop()
    this.#call?.abort()
    this.route.target.release()
    /* The upstream answered before the client had sent all: nobody watches the rest of the body any more. */
    if (wasAnswered && this.#tunnel === undefined) linger(this.request, this.#front)
    this.outcome.close(this, this.#front, {
      path: this.#target.path,
      status:
        this.#tunnel !== undefined ? 101 : this.response.headersSent ? this.response.statusCode : undefined,
      isComplete: this.#tunnel !== undefined || (wasAnswered && this.response.writableFinished),
      requestBodySize: this.#tunnel?.clientBytes ?? this.#requestSide.receivedBytes,
      responseBodySize: this.#tunnel?.upstreamBytes ?? this.#responseSide.sentBytes,
      upstreamAttempts: this.#call === undefined ? 0 : 1,
    })
    if (--this.#front.openExchanges === 0) this.#front.onLastExchange?.()
  }

  #tooLate(which: 'request' | 'response'): void {
    this.#front.probe.notice?.('warn', `header operations came after the ${which} head had left`, {
      route: this.route.name,
      correlationId: this.scope.correlationId,
    })
  }

  opSkipped(op: HeaderOp): void {
    this.#front.probe.notice?.('warn', `an agent's operation on header "${op.name}" was left out`, {
      route: this.route.name,
      correlationId: this.scope.correlationId,
      op: op.op,
    })
  }
}
