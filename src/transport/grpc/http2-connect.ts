import { lookup } from 'node:dns/promises'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { isIP, type Socket } from 'node:net'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/host-port.ts'
import { clientTls, type TlsClientOptions } from '../tls-options.ts'
import {
  FRAME_BYTES,
  type GrpcDialerOptions,
  SESSION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
} from './grpc-options.ts'
import { Http2ClientChannel } from './http2-client-channel.ts'

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
): Promise<Http2ClientChannel> {
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
  const session = connect(`${scheme}://${hostPort(host, port)}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES, maxFrameSize: FRAME_BYTES },
  })
  /* Errors before the channel listens are told by its stream. */
  session.on('error', () => {})
  session.once('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES))
  if (options.keepalive !== undefined) keepAlive(session, options.keepalive, options.clock ?? systemClock)
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': PROCESS_STREAM_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-accept-encoding': 'identity',
      'user-agent': 'weir',
    },
    { endStream: false },
  )
  return new Http2ClientChannel(session, stream, socket, endpoint)
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

function keepAlive(
  session: ClientHttp2Session,
  { intervalMs, timeoutMs }: { readonly intervalMs: number; readonly timeoutMs: number },
  clock: Clock,
): void {
  let timer = clock.setTimer(intervalMs, ping)
  session.once('close', () => timer.cancel())

  function ping(): void {
    timer = clock.setTimer(timeoutMs, () =>
      session.destroy(
        new Error(`no answer to an HTTP/2 ping within ${timeoutMs} ms`),
        constants.NGHTTP2_CANCEL,
      ),
    )
    session.ping((error) => {
      timer.cancel()
      if (error === null && !session.destroyed) timer = clock.setTimer(intervalMs, ping)
    })
  }
}
