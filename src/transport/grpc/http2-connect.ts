import { lookup } from 'node:dns/promises'
import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/socket-listener.ts'
import { clientTls, type TlsClientOptions } from '../tls-options.ts'
import { type GrpcDialerOptions, SESSION_WINDOW_BYTES, STREAM_WINDOW_BYTES } from './grpc-options.ts'
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
  const address = await addressOf(target, rotation())
  signal.throwIfAborted()
  const tls = target.tls === undefined ? undefined : { ...clientTls(target.tls, host), ALPNProtocols: ['h2'] }
  const socket = await connectSocket({ host: address, port, allowHalfOpen: false }, endpoint, signal, tls)
  if (tls !== undefined && (socket as TLSSocket).alpnProtocol !== 'h2') {
    socket.destroy()
    throw new WeirError('UNAVAILABLE', `${endpoint} does not offer HTTP/2 over TLS (ALPN h2)`, {
      sent: false,
    })
  }
  const scheme = tls === undefined ? 'http' : 'https'
  const session = connect(`${scheme}://${hostPort(host, port)}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
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
      'user-agent': 'weir',
    },
    { endStream: false },
  )
  return new Http2ClientChannel(session, stream, socket, endpoint)
}

/** One of the addresses of the target's name; looked up each time, because what it names may have moved. */
async function addressOf({ host, endpoint }: GrpcTarget, turn: number): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    const addresses = await lookup(host, { all: true })
    return addresses[turn % addresses.length]!.address
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new WeirError('UNAVAILABLE', `${endpoint}: ${message}`, { sent: false, cause: error })
  }
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
