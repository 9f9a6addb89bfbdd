import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Clock, systemClock } from '../../core/clock.ts'
import { CorrelationIds } from '../../core/correlation-id.ts'
import { WeirError } from '../../core/errors.ts'
import { type Probe, SILENT } from '../../core/probe.ts'
import { TimerWheel } from '../../core/timer-wheel.ts'
import type { Dispatcher } from '../../proxy/dispatcher.ts'
import { answerOfError } from './answer.ts'
import { ClientRequest, ClientResponse, onResponseClosed, peerOf } from './client-message.ts'
import { Exchange } from './exchange.ts'
import { CORRELATION_HEADER } from './field-names.ts'
import { TrustedProxies } from './forwarding.ts'
import type { Front, LiveRoute } from './front.ts'
import { linger } from './lingering.ts'
import { completeOptions, type HttpFrontendOptions, type ListenAddress } from './options.ts'
import { answerParseError, refuseSocket } from './raw-answer.ts'
import { hostWithoutPort, parseTarget } from './request-target.ts'
import { type HttpRoute, RouteTable } from './route-table.ts'
import { responseFor, type UpgradeOffer } from './upgrade.ts'
import { Upstream } from './upstreams.ts'

export interface HttpFrontendParts {
  readonly dispatcher: Dispatcher
  readonly routes: readonly HttpRoute[]
  readonly options?: HttpFrontendOptions
  readonly clock?: Clock
  readonly probe?: Probe
}

/** How often Node looks for clients that are late with a request head, milliseconds. */
const HEAD_CHECK_MS = 500
/** How often a draining front end looks for idle connections, milliseconds. */
const IDLE_SWEEP_MS = 50

/**
 * A streaming reverse proxy that asks agents about every request and response on the way. Routes can be
 * swapped at any time; requests under way keep the route they were matched to.
 */
export class HttpFrontend {
  readonly #front: Front
  readonly #server: Server<typeof ClientRequest, typeof ClientResponse>
  readonly #isTrusted: (address: string) => boolean
  #upstreams = new Map<string, Upstream>()
  #drained: Promise<void> | undefined

  /** Throws INVALID_ARGUMENT for options or routes that cannot be served. */
  constructor(parts: HttpFrontendParts) {
    const settings = completeOptions(parts.options ?? {})
    const clock = parts.clock ?? systemClock
    this.#front = {
      settings,
      dispatcher: parts.dispatcher,
      clock,
      probe: parts.probe ?? SILENT,
      wheel: new TimerWheel(clock),
      ids: new CorrelationIds(),
      trusted: new TrustedProxies(settings.trustedProxies),
      routes: new RouteTable<LiveRoute>([]),
      openExchanges: 0,
      onLastExchange: undefined,
      isDraining: false,
      tunnels: new Set(),
    }
    this.#isTrusted = (address) => this.#front.trusted.has(address)
    this.setRoutes(parts.routes)
    this.#server = createServer<typeof ClientRequest, typeof ClientResponse>({
      IncomingMessage: ClientRequest,
      ServerResponse: ClientResponse,
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: settings.maxHeaderBytes,
      headersTimeout: settings.headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: settings.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(HEAD_CHECK_MS, settings.headersTimeoutMs),
      noDelay: true,
    })
    /* Node drops header fields beyond this count silently; the limit in bytes is the one that counts. */
    this.#server.maxHeadersCount = 0
    this.#server.timeout = 0
    this.#listenToServer()
  }

  /** Resolves with the address that was bound. Rejects with UNAVAILABLE when it cannot be. */
  listen(address: ListenAddress = this.#front.settings.listen): Promise<AddressInfo | string> {
    return new Promise((resolve, reject) => {
      const onError = (cause: Error): void => {
        const place = 'path' in address ? address.path : `${address.host}:${address.port}`
        reject(new WeirError('UNAVAILABLE', `cannot listen on ${place}: ${cause.message}`, { cause }))
      }
      this.#server.once('error', onError)
      this.#server.listen(address, () => {
        this.#server.off('error', onError)
        resolve(this.#server.address()!)
      })
    })
  }

  /** Throws INVALID_ARGUMENT and leaves the routes as they are when one of the new ones is wrong. */
  setRoutes(routes: readonly HttpRoute[]): void {
    const old = this.#upstreams
    const upstreams = new Map<string, Upstream>()
    const live = routes.map((route): LiveRoute => {
      const target =
        upstreams.get(route.upstream) ??
        old.get(route.upstream) ??
        new Upstream(route.upstream, this.#front.settings.upstream)
      upstreams.set(route.upstream, target)
      return { ...route, target }
    })
    this.#front.routes = new RouteTable(live)
    this.#upstreams = upstreams
    for (const [origin, upstream] of old) if (!upstreams.has(origin)) upstream.retire()
  }

  /** Stops accepting, lets open requests end until the deadline, cuts the rest. Twice: the same promise. */
  drain(timeoutMs: number = this.#front.settings.drainTimeoutMs): Promise<void> {
    this.#drained ??= this.#drain(timeoutMs)
    return this.#drained
  }

  /** Cuts everything now. */
  close(): Promise<void> {
    return this.drain(0)
  }

  async #drain(timeoutMs: number): Promise<void> {
    this.#front.isDraining = true
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening) this.#server.close(() => resolve())
      else resolve()
    })
    /* Connections whose response was already under way become idle later. */
    const sweep = setInterval(() => this.#server.closeIdleConnections(), IDLE_SWEEP_MS)
    for (const tunnel of this.#front.tunnels) tunnel.drain()
    const timer = this.#front.clock.setTimer(timeoutMs, () => this.#cut())
    if (timeoutMs === 0) this.#cut()
    await closed
    timer.cancel()
    clearInterval(sweep)
    /* The ends of the last connections may still have to be reported. */
    if (this.#front.openExchanges > 0) {
      await new Promise<void>((resolve) => {
        this.#front.onLastExchange = resolve
      })
    }
    this.#front.wheel.close()
    await Promise.all(Array.from(this.#upstreams.values(), (upstream) => upstream.destroy()))
  }

  #cut(): void {
    this.#server.closeAllConnections()
    for (const tunnel of [...this.#front.tunnels]) tunnel.cut()
  }

  #listenToServer(): void {
    const onRequest = (request: ClientRequest, response: ClientResponse): void =>
      this.#onRequest(request, response)
    this.#server.on('request', onRequest)
    this.#server.on('checkContinue', onRequest)
    this.#server.on('checkExpectation', (_request: ClientRequest, response: ClientResponse) => {
      this.#refuse(response, new WeirError('INVALID_ARGUMENT', 'only "100-continue" can be expected'), 417)
    })
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
      answerParseError(error, socket as Socket, this.#front)
    })
    this.#server.on('upgrade', (request: ClientRequest, socket: Duplex, head: Buffer) => {
      this.#onRequest(request, responseFor(request, socket), { socket: socket as Socket, head })
    })
    this.#server.on('connect', (_request: ClientRequest, socket: Duplex) => {
      const error = new WeirError('INVALID_ARGUMENT', 'CONNECT is not served: this is a reverse proxy')
      refuseSocket(socket, error, 405, this.#front)
    })
  }

  #onRequest(request: ClientRequest, response: ClientResponse, offer?: UpgradeOffer): void {
    const { shape } = request
    const target = parseTarget(request.url!)
    let problem = shape.problem ?? (typeof target === 'string' ? target : undefined)
    if (offer !== undefined && shape.framing !== 'none') problem ??= 'a body on a request to switch protocols'
    if (problem !== undefined || typeof target === 'string') {
      response.shouldKeepAlive = false
      this.#refuse(response, new WeirError('INVALID_ARGUMENT', `the request is refused: ${problem}`))
      return
    }
    const host = target.authority ?? shape.host ?? ''
    const name = hostWithoutPort(host)
    const { routes } = this.#front
    const route = routes.match(name, target.path)
    if (target.resolvedPath !== target.path && routes.match(name, target.resolvedPath) !== route) {
      this.#refuse(
        response,
        new WeirError('INVALID_ARGUMENT', 'the path means different routes before and after decoding'),
      )
      return
    }
    if (route === undefined) {
      this.#refuse(response, new WeirError('NOT_FOUND', `no route for ${name}${target.path}`))
      return
    }
    const peer = peerOf(request.socket, this.#isTrusted)
    const exchange = new Exchange(this.#front, route, target, host, request, response, peer, offer)
    /* After an offer to upgrade that is ignored Node's parser reads no further request. */
    if (shape.upgrade !== undefined) response.shouldKeepAlive = false
    try {
      exchange.begin()
    } catch (thrown) {
      this.#refuse(response, WeirError.from(thrown))
      return
    }
    response.on('close', onResponseClosed)
    /* A pipelined response has no connection yet, and would not hear of its end. */
    if (response.socket === null) request.socket.once('close', () => exchange.responseClosed())
  }

  /** Answers a request that never had a scope. */
  #refuse(response: ClientResponse, error: WeirError, status: number = error.httpStatus): void {
    const id = this.#front.ids.next()
    const answer = answerOfError(error, id, status)
    answer.headers.push(CORRELATION_HEADER, id, 'content-length', String(Buffer.byteLength(answer.body)))
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
    const { req: request } = response
    linger(request, this.#front)
    this.#front.probe.requestDone?.({
      correlationId: id,
      requestId: id,
      route: '',
      method: request.method ?? '',
      path: request.url?.split('?', 1)[0] ?? '',
      status: answer.status,
      durationMs: 0,
      decision: 'error',
      decidedBy: undefined,
      error: error.code,
      reason: error.message,
      bypassed: [],
    })
  }
}
