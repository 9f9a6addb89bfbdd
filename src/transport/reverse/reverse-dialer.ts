import type { NetConnectOpts } from 'node:net'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { Encoding, RegistrationResponse } from '../../wire/codec.ts'
import { udsAgentCodec } from '../../wire/uds/agent-codec.ts'
import { AgentLink, type LinkTraits } from '../agent-end/agent-link.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { hostPort } from '../channel/host-port.ts'
import { ReadBuffers } from '../channel/read-buffers.ts'
import { SocketChannel } from '../channel/socket-channel.ts'
import { parseBindAddress } from '../endpoint.ts'
import type { AgentEndOptions, ProxyLink } from '../proxy-link.ts'
import { clientTls, type TlsClientOptions } from '../tls-options.ts'
import { withOffer } from './encoding-extension.ts'

export interface ReverseDialOptions {
  readonly agentId: string
  readonly authToken?: string | undefined
  /** Any JSON value for the proxy. */
  readonly metadata?: unknown
  readonly agent: AgentEndOptions
  /** For `tls://`; without it the system's authorities are trusted. */
  readonly tls?: TlsClientOptions | undefined
  /** Encodings to offer. Default both; a proxy that is not Weir answers JSON. */
  readonly encodings?: readonly Encoding[]
  /** Milliseconds over dial and registration. Default 10,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
  readonly clock?: Clock
}

/**
 * Dials a proxy and registers as an agent. `handler.onOpen` is called before it resolves. A proxy that closes
 * shortly after its success has refused too (the origin does that over its limit): back off then.
 * Rejects with UNAVAILABLE, TIMEOUT, PERMISSION_DENIED (refused, its reason in the message), PROTOCOL_ERROR,
 * CANCELLED.
 * @param address `unix:path`, `tcp://host:port` or `tls://host:port`
 */
export async function dialReverse(address: string, options: ReverseDialOptions): Promise<ProxyLink> {
  const clock = options.clock ?? systemClock
  const timeoutMs = options.timeoutMs ?? 10_000
  const attempt = new AbortController()
  const cancel = (): void => attempt.abort(new WeirError('CANCELLED', `dialing ${address} was called off`))
  if (options.signal?.aborted === true) cancel()
  options.signal?.addEventListener('abort', cancel, { once: true })
  const timer = clock.setTimer(timeoutMs, () =>
    attempt.abort(
      new WeirError('TIMEOUT', `${address} did not accept the registration within ${timeoutMs} ms`),
    ),
  )
  try {
    const channel = await connect(address, options, attempt.signal)
    return await register(channel, address, options, clock, attempt.signal)
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason
    throw asRefusal(error, address)
  } finally {
    timer.cancel()
    options.signal?.removeEventListener('abort', cancel)
  }
}

async function connect(
  address: string,
  { tls, agent }: ReverseDialOptions,
  signal: AbortSignal,
): Promise<SocketChannel> {
  const place = parseBindAddress(address)
  if (place.kind === 'tls') {
    const { host, port } = place
    const secure = clientTls(tls ?? {}, host)
    const socket = await connectSocket({ host, port }, `tls://${hostPort(host, port)}`, signal, secure)
    return new SocketChannel(socket, address)
  }
  const where: NetConnectOpts =
    place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port }
  const endpoint = place.kind === 'unix' ? address : `tcp://${hostPort(place.host, place.port)}`
  const buffers = new ReadBuffers(agent.reusesBodyMemory === true)
  return SocketChannel.dialed(
    (onread) => connectSocket({ ...where, onread }, endpoint, signal),
    address,
    buffers,
  )
}

function register(
  channel: SocketChannel,
  address: string,
  options: ReverseDialOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProxyLink> {
  const { agentId, authToken, agent } = options
  const encodings = options.encodings ?? ['msgpack', 'json']
  return new Promise((resolve, reject) => {
    const codec = udsAgentCodec()
    const onResponse = (response: RegistrationResponse): void => {
      if (!response.success) {
        const reason = response.error || 'no reason given'
        throw new WeirError('PERMISSION_DENIED', `${address} refused agent "${agentId}": ${reason}`)
      }
      const encoding = response.encoding ?? 'json'
      if (encoding !== 'json' && !encodings.includes(encoding))
        throw new WeirError('PROTOCOL_ERROR', `${address} chose ${encoding}, which was not offered`)
      codec.useEncoding(encoding)
      resolve(link)
    }
    const greeting = { onResponse, onFailed: reject }
    const traits: LinkTraits = {
      transport: 'reverse',
      configureAck: 'reply',
      encodings,
      greeting,
      maxMessageBytes: MAX_MESSAGE_BYTES,
    }
    const link = new AgentLink(channel, codec, traits, agent, clock)
    const drop = (): void => link.destroy(signal.reason as WeirError)
    if (signal.aborted) drop()
    else signal.addEventListener('abort', drop, { once: true })
    link.greet((writer, out) => {
      const capabilities = agent.capabilities()
      const metadata = withOffer(options.metadata, encodings)
      writer.writeRegistration({ protocolVersion: 2, agentId, capabilities, authToken, metadata }, out)
    })
  })
}

/** A proxy that hangs up on a registration is one that cannot be used now. */
function asRefusal(thrown: unknown, address: string): WeirError {
  const error = WeirError.from(thrown)
  if (error.code !== 'CONNECTION_LOST') return error
  return new WeirError('UNAVAILABLE', `${address} hung up on the registration: ${error.message}`, {
    cause: error,
  })
}
