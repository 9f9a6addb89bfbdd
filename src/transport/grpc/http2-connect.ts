import { lookup } from 'node:dns/promises'
import { isIP, type Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/host-port.ts'
import { PingWatch } from '../h2/ping-watch.ts'
import { clientTls, type TlsClientOptions } from '../tls-options.ts'
import { ClientCall } from './client-call.ts'
import type { GrpcDialerOptions } from './grpc-options.ts'

export interface GrpcTarget {
  /** For people. */
  readonly endpoint: string
  readonly host: string
  readonly port: number
  /** Undefined: plaintext. */
  readonly tls: TlsClientOptions | undefined
}

/** Opens one TCP connection with one ProcessStream call on it. Rejects with UNAVAILABLE, or the signal's reason. */
export async function connectHttp2(
  target: GrpcTarget,
  rotation: () => number,
  options: GrpcDialerOptions,
  signal: AbortSignal,
): Promise<ClientCall> {
  const { host, port, endpoint } = target
  const tls = target.tls === undefined ? undefined : { ...clientTls(target.tls, host), ALPNProtocols: ['h2'] }
  const socket = await connectToAny(target, rotation(), tls, signal)
  if (tls !== undefined && (socket as TLSSocket).alpnProtocol !== 'h2') {
    socket.destroy()
    throw new WeirError('UNAVAILABLE', `${endpoint} does not offer HTTP/2 over TLS (ALPN h2)`, {
      sent: false,
    })
  }
  const scheme = tls === undefined ? 'http' : 'https'
  const call = new ClientCall(
    socket,
    [
      [':method', 'POST'],
      [':scheme', scheme],
      [':path', PROCESS_STREAM_PATH],
      [':authority', hostPort(host, port)],
      ['content-type', 'application/grpc'],
      ['te', 'trailers'],
      ['grpc-accept-encoding', 'identity'],
      ['user-agent', 'weir'],
    ],
    endpoint,
  )
  const { keepalive } = options
  if (keepalive !== undefined) {
    const watch = new PingWatch(call.connection, keepalive, options.clock ?? systemClock)
    socket.once('close', () => watch.stop())
  }
  return call
}

/** Tries the addresses of the target's name, beginning with the one whose turn it is. */
async function connectToAny(
  target: GrpcTarget,
  turn: number,
  tls: ConnectionOptions | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const addresses = await addressesOf(target, signal)
  let failure: unknown
  for (let offset = 0; offset < addresses.length; offset++) {
    const host = addresses[(turn + offset) % addresses.length]!
    try {
      const where = { host, port: target.port, allowHalfOpen: false }
      return await connectSocket(where, target.endpoint, signal, tls)
    } catch (error) {
      if (signal.aborted) throw error
      failure ??= error
    }
  }
  throw failure
}

/** Looked up each time, because what a name stands for may have moved. */
async function addressesOf({ host, endpoint }: GrpcTarget, signal: AbortSignal): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  try {
    const found = await Promise.race([lookup(host, { all: true }), aborted(signal)])
    return found.map(({ address }) => address)
  } catch (error) {
    signal.throwIfAborted()
    const message = error instanceof Error ? error.message : String(error)
    throw new WeirError('UNAVAILABLE', `${endpoint}: ${message}`, { sent: false, cause: error })
  }
}

/** A name server may be slower than the dial's deadline, and a lookup cannot be called off. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
