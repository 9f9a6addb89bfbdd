import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { Clock } from '../../core/clock.ts'
import { readInto } from '../channel/accepted-socket.ts'
import { TCP_KEEPALIVE_MS } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/host-port.ts'
import { type NewcomerOptions, Newcomers } from '../channel/newcomers.ts'
import { ReadBuffers } from '../channel/read-buffers.ts'
import { bindPort } from '../channel/socket-listener.ts'
import type { Listener } from '../proxy-link.ts'
import { serverTls, type TlsServerOptions } from '../tls-options.ts'
import { type GrpcRoutes, route } from './grpc-routes.ts'
import type { ServerCall } from './server-call.ts'
import { ServerSession, type SessionOwner } from './server-session.ts'

/** How long a client may take for its TLS handshake, milliseconds. */
const TLS_TIMEOUT_MS = 10_000
/** How long connections are let finish when the listener closes, milliseconds. */
const CLOSE_TIMEOUT_MS = 1000

export interface Http2ServerOptions {
  readonly host: string
  readonly port: number
  readonly tls: TlsServerOptions | undefined
  readonly routes: GrpcRoutes
  readonly clock: Clock
  /** Bounds of clients that have made no call yet, their TLS handshake and HTTP/2 preface included. */
  readonly newcomers: NewcomerOptions
  /** Nobody keeps what was read, unless the listener of a call says so. */
  readonly reusesMemory: boolean
  /** Ends the calls that are open. */
  readonly closeCalls: () => Promise<void>
}

/** A gRPC server on HTTP/2: plaintext with prior knowledge, or TLS. */
export async function listenHttp2(options: Http2ServerOptions): Promise<Listener> {
  const { host, tls, clock, closeCalls } = options
  const house = new House(options)
  const server = tls === undefined ? plainServer(house) : tlsServer(house, tls)
  await bindPort(server, host, options.port)
  server.on('error', () => {})
  const { port } = server.address() as AddressInfo
  let closing: Promise<void> | undefined
  return {
    address: `${tls === undefined ? 'grpc' : 'grpcs'}://${hostPort(host, port)}`,
    port,
    close(): Promise<void> {
      closing ??= (async () => {
        const closed = new Promise((resolve) => server.close(resolve))
        await closeCalls()
        house.closeSessions()
        const timer = clock.setTimer(CLOSE_TIMEOUT_MS, () => house.destroySockets())
        await closed
        timer.cancel()
      })()
      return closing
    },
  }
}

function plainServer(house: House): Server {
  return createServer({ allowHalfOpen: true }, (accepted) => {
    const buffers = new ReadBuffers(house.reusesMemory)
    let session: ServerSession | undefined
    const callback = (count: number): boolean => {
      buffers.deliver(count, session!)
      return true
    }
    const socket = readInto(accepted, { buffer: buffers.next, callback }) ?? accepted
    house.admit(socket)
    session = house.open(socket)
  })
}

function tlsServer(house: House, tls: TlsServerOptions): Server {
  const server = createTlsServer({
    ...serverTls(tls),
    ALPNProtocols: ['h2'],
    handshakeTimeout: TLS_TIMEOUT_MS,
  })
  server.on('connection', (socket: Socket) => house.admit(socket))
  /* Node leaves the socket of a handshake that timed out open. */
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol === 'h2') house.open(socket)
    else socket.destroy()
  })
  return server
}

/** The clients of one server. */
class House implements SessionOwner {
  readonly clock: Clock
  readonly reusesMemory: boolean
  readonly #routes: GrpcRoutes
  readonly #newcomers: Newcomers
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerSession>()
  #isClosing = false

  constructor({ clock, routes, newcomers, reusesMemory }: Http2ServerOptions) {
    this.clock = clock
    this.reusesMemory = reusesMemory
    this.#routes = routes
    this.#newcomers = new Newcomers(newcomers)
  }

  /** A TCP connection came. */
  admit(socket: Socket): void {
    socket.on('error', () => {})
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    this.#newcomers.add(socket)
  }

  /** It speaks HTTP/2, as far as it says. */
  open(socket: Socket): ServerSession {
    const peer = hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0)
    const session = new ServerSession(socket, peer, this)
    this.#sessions.add(session)
    socket.on('data', (chunk: Buffer) => session.onData(chunk))
    if (this.#isClosing) session.close()
    return session
  }

  onCall(call: ServerCall): void {
    if (route(call, this.#routes)) this.#newcomers.settled(call.peer)
  }

  onSessionClosed(session: ServerSession): void {
    this.#sessions.delete(session)
  }

  closeSessions(): void {
    this.#isClosing = true
    for (const session of this.#sessions) session.close()
  }

  destroySockets(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}
