import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { WeirError } from '../../core/errors.ts'
import type { BindAddress } from '../endpoint.ts'
import type { Listener } from '../proxy-link.ts'
import { serverTls, type TlsServerOptions } from '../tls-options.ts'
import { TCP_KEEPALIVE_MS } from './connect-socket.ts'
import { hostPort } from './host-port.ts'
import { type NewcomerOptions, Newcomers } from './newcomers.ts'
import { bindSocketFile, type SocketMode } from './socket-file.ts'

export interface SocketListenerOptions {
  readonly address: BindAddress
  /** Mode of the socket file. Default 0o600. */
  readonly mode?: SocketMode | undefined
  /** Required for `tls://`. */
  readonly tls?: TlsServerOptions | undefined
  /** Bounds of clients that are in their TLS handshake. Required for `tls://`. */
  readonly handshakes?: NewcomerOptions | undefined
  /** Gets each socket, after its TLS handshake; owns it from then on. */
  readonly onSocket: (socket: Socket, peer: string) => void
  /** Closes everything that was made of the accepted sockets. */
  readonly closeAccepted: () => Promise<void>
}

/**
 * Accepts sockets on a Unix socket file, TCP or TLS. Rejects with INVALID_ARGUMENT or CONFLICT when the address
 * cannot be bound.
 */
export async function listenSockets(options: SocketListenerOptions): Promise<Listener> {
  const { address } = options
  const server = serverFor(options)
  /* Sockets that are still in their TLS handshake are known to nobody else. */
  const handshaking = options.handshakes === undefined ? undefined : new Newcomers(options.handshakes)
  if (handshaking !== undefined) {
    server.on('connection', (socket: Socket) => handshaking.add(socket))
    server.on('secureConnection', (socket: Socket) => handshaking.settled(peerOf(socket)))
  }
  const removeFile =
    address.kind === 'unix' ? await bindSocketFile(server, address.path, options.mode ?? 0o600) : undefined
  if (address.kind !== 'unix') await bindPort(server, address.host, address.port)
  /* Failing accepts (no descriptors left) are the kernel's to report again; they must not end the process. */
  server.on('error', () => {})
  const port = address.kind === 'unix' ? 0 : (server.address() as AddressInfo).port
  let closing: Promise<void> | undefined
  return {
    address: describe(address, port),
    port,
    close(): Promise<void> {
      closing ??= (async () => {
        const closed = new Promise((resolve) => server.close(resolve))
        await removeFile?.()
        await options.closeAccepted()
        handshaking?.destroyAll()
        await closed
      })()
      return closing
    },
  }
}

function serverFor({ address, tls, handshakes, onSocket }: SocketListenerOptions): Server {
  if (address.kind !== 'tls') {
    const server = createServer({
      allowHalfOpen: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEPALIVE_MS,
    })
    /* Everybody on a socket file is called the same: one string for all of them. */
    const fileName = address.kind === 'unix' ? `unix:${address.path}` : undefined
    server.on('connection', (socket) => onSocket(socket, fileName ?? peerOf(socket)))
    return server
  }
  if (tls === undefined || handshakes === undefined)
    throw new WeirError(
      'INVALID_ARGUMENT',
      `tls://${address.host}:${address.port} needs a certificate and key`,
    )
  const server = createTlsServer({
    ...serverTls(tls),
    allowHalfOpen: true,
    keepAlive: true,
    keepAliveInitialDelay: TCP_KEEPALIVE_MS,
    /* Those who are too slow are closed and told of as newcomers. Node's own timer says nothing: it must not be first. */
    handshakeTimeout: 2 * handshakes.timeoutMs,
  })
  server.on('secureConnection', (socket) => onSocket(socket, peerOf(socket)))
  /* Node leaves the socket of a handshake that timed out open. */
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  return server
}

/** Binds a host and port. Rejects with INVALID_ARGUMENT, or CONFLICT when the port is taken. */
export function bindPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const code = error.code === 'EADDRINUSE' ? 'CONFLICT' : 'INVALID_ARGUMENT'
      reject(new WeirError(code, `cannot listen on ${host}:${port}: ${error.message}`, { cause: error }))
    }
    server.once('error', onError)
    server.listen({ host, port }, () => {
      server.removeListener('error', onError)
      resolve()
    })
  })
}

function describe(address: BindAddress, port: number): string {
  return address.kind === 'unix'
    ? `unix:${address.path}`
    : `${address.kind}://${hostPort(address.host, port)}`
}

function peerOf(socket: Socket): string {
  return hostPort(socket.remoteAddress ?? '', socket.remotePort ?? 0)
}
