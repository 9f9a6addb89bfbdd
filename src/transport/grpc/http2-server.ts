import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { TCP_KEEPALIVE_MS } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/host-port.ts'
import { type NewcomerOptions, Newcomers } from '../channel/newcomers.ts'
import { bindPort } from '../channel/socket-listener.ts'
import type { Listener } from '../proxy-link.ts'
import { serverTls, type TlsServerOptions } from '../tls-options.ts'
import { FRAME_BYTES, SESSION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './grpc-options.ts'
import type { GrpcRoutes } from './grpc-routes.ts'
import { GRPC_STATUS, isGrpcType } from './grpc-status.ts'
import { endWithStatus } from './respond.ts'

/** Calls at once on one connection of one proxy; more wait at the client. */
const MAX_STREAMS = 1024
/** How long a client may take for its TLS handshake, and for its HTTP/2 preface, milliseconds. */
const GREETING_TIMEOUT_MS = 10_000
/** How long a connection may be silent towards a ping before it is taken for dead, milliseconds. */
const PING_MS = 30_000
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
  /** Ends the calls that are open. */
  readonly closeCalls: () => Promise<void>
}

/** A gRPC server on node:http2: plaintext with prior knowledge, or TLS. */
export async function listenHttp2(options: Http2ServerOptions): Promise<Listener> {
  const { host, tls, routes, clock, closeCalls } = options
  const settings = {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxFrameSize: FRAME_BYTES,
    maxConcurrentStreams: MAX_STREAMS,
  }
  const server: Http2Server =
    tls === undefined
      ? createServer({ settings })
      : createSecureServer({ settings, ...serverTls(tls), handshakeTimeout: GREETING_TIMEOUT_MS })
  /* Node leaves the socket of a handshake that timed out open. */
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new Set<Socket>()
  const newcomers = new Newcomers(options.newcomers)
  server.on('connection', (socket: Socket) => {
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    newcomers.add(socket)
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.setLocalWindowSize(SESSION_WINDOW_BYTES)
    session.on('error', () => {})
    const stopWatching = watch(session, clock)
    session.once('close', () => {
      stopWatching()
      sessions.delete(session)
    })
  })
  server.on('sessionError', () => {})
  server.on('stream', (stream, headers) => {
    const peer = peerOf(stream)
    if (route(stream, headers, routes, peer)) newcomers.settled(peer)
  })
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
        for (const session of sessions) session.close()
        const timer = clock.setTimer(CLOSE_TIMEOUT_MS, () => {
          for (const socket of sockets) socket.destroy()
        })
        await closed
        timer.cancel()
      })()
      return closing
    },
  }
}

/**
 * Destroys a session that does not greet, or leaves a ping unanswered. After some errors of the peer (a frame over
 * the agreed size is one) Node says goodbye, stops reading and keeps the socket: not even its end is noticed then.
 */
function watch(session: ServerHttp2Session, clock: Clock): () => void {
  const end = (): void => session.destroy()
  let timer = clock.setTimer(GREETING_TIMEOUT_MS, end)
  const onPong = (error: Error | null): void => {
    if (error !== null || session.destroyed) return
    timer.cancel()
    timer = clock.setTimer(PING_MS, () => {
      timer = clock.setTimer(PING_MS, end)
      if (!session.destroyed) session.ping(onPong)
    })
  }
  /* The greeting lasts until the first ping is answered: what breaks a session may come with its settings. */
  session.once('remoteSettings', () => session.ping(onPong))
  return () => timer.cancel()
}

function peerOf({ session }: ServerHttp2Stream): string {
  const { remoteAddress, remotePort } = session?.socket ?? {}
  return hostPort(remoteAddress ?? '', remotePort ?? 0)
}

/** Whether it was a call that is served here. */
function route(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  routes: GrpcRoutes,
  peer: string,
): boolean {
  if (headers[':method'] !== 'POST') {
    refuse(stream, 405)
    return false
  }
  if (!isGrpcType(headers['content-type'] ?? '')) {
    refuse(stream, 415)
    return false
  }
  const encoding = headers['grpc-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    stream.on('error', () => {})
    endWithStatus(stream, GRPC_STATUS.unimplemented, `compression ${String(encoding)} is not supported`)
    return false
  }
  const path = headers[':path'] ?? ''
  const handler = routes.get(path)
  if (handler === undefined) {
    stream.on('error', () => {})
    endWithStatus(stream, GRPC_STATUS.unimplemented, `unknown method ${path}`)
    return false
  }
  handler(stream, headers, peer)
  return true
}

function refuse(stream: ServerHttp2Stream, status: number): void {
  stream.on('error', () => {})
  stream.respond({ ':status': status }, { endStream: true })
  stream.resume()
}
