import type { Clock } from '../core/clock.ts'
import type { WeirError } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'
import { VERSION } from '../core/version.ts'
import { AgentProtocolFrontEnd } from '../frontend/agent-protocol/front-end.ts'
import { HttpFrontend } from '../frontend/http/http-frontend.ts'
import { sessionKeyOf } from '../frontend/session-key.ts'
import type { Dispatcher } from '../proxy/dispatcher.ts'
import { listenGrpc } from '../transport/grpc/grpc-listener.ts'
import { listenUds } from '../transport/uds/uds-listener.ts'
import { formatAddress } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import type { Listeners } from './listeners.ts'
import { liveChains, type RouteBook } from './routes/route-book.ts'

export interface FrontEndParts {
  readonly config: Config
  readonly dispatcher: Dispatcher
  readonly clock: Clock
  readonly probe: Probe
  /** The routes in force. */
  readonly book: () => RouteBook
}

/** Whoever asks: the HTTP reverse proxy, and proxies that take Weir as their one agent. */
export class FrontEnds {
  readonly #parts: FrontEndParts
  readonly #http: HttpFrontend | undefined
  readonly #protocol: AgentProtocolFrontEnd | undefined

  constructor(parts: FrontEndParts) {
    const { config, dispatcher, clock, probe, book } = parts
    const { sessionKey, drainTimeoutMs } = config
    this.#parts = parts
    if (config.listen.http !== undefined)
      this.#http = new HttpFrontend({
        dispatcher,
        routes: [],
        options: { ...config.http, drainTimeoutMs, ...(sessionKey !== undefined && { sessionKey }) },
        clock,
        probe,
      })
    if (config.listen.grpc !== undefined || config.listen.socket !== undefined)
      this.#protocol = new AgentProtocolFrontEnd({
        dispatcher,
        chains: liveChains(book),
        clock,
        probe,
        version: VERSION,
        sessionKey:
          sessionKey && ((_chain, event) => sessionKeyOf(sessionKey, event.headers, event.metadata.clientIp)),
      })
  }

  setRoutes(book: RouteBook): void {
    this.#http?.setRoutes(book.http)
  }

  /** @throws WeirError naming the option and the address */
  async open(listeners: Listeners): Promise<void> {
    const { listen } = this.#parts.config
    const { clock, probe } = this.#parts
    const onDropped = (peer: string, reason: WeirError): void =>
      probe.notice?.('warn', `a connection to listen.grpc was closed: ${reason.message}`, { peer })
    const http = this.#http
    const protocol = this.#protocol
    if (protocol !== undefined && listen.grpc !== undefined) {
      const address = formatAddress(listen.grpc)
      await listeners.open(
        'listen.grpc',
        address,
        () => listenGrpc(address, protocol.agentEnd, { clock, onDropped }),
        bound,
      )
    }
    if (protocol !== undefined && listen.socket?.kind === 'unix') {
      const { path } = listen.socket
      await listeners.open(
        'listen.socket',
        `unix:${path}`,
        () => listenUds(path, protocol.agentEnd, { clock, mode: listen.socketMode }),
        bound,
      )
    }
    if (http !== undefined && listen.http?.kind === 'tcp') {
      const { host, port } = listen.http
      await listeners.open(
        'listen.http',
        formatAddress(listen.http),
        () => http.listen({ host, port }),
        (place) => ({
          address: typeof place === 'string' ? place : formatAddress({ kind: 'tcp', host, port: place.port }),
          close: () => http.close(),
        }),
      )
    }
  }

  /** Refuses what is new, lets what is open end until the deadline, aborts the rest. */
  async drain(timeoutMs: number): Promise<void> {
    await Promise.all([
      this.#http?.drain(timeoutMs),
      this.#protocol?.drain(timeoutMs),
      this.#parts.dispatcher.drain(timeoutMs),
    ])
  }
}

function bound(listener: { readonly address: string; close(): Promise<void> }): {
  readonly address: string
  readonly close: () => Promise<void>
} {
  return { address: listener.address, close: () => listener.close() }
}
