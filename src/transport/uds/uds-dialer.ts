import { type Clock, systemClock } from '../../core/clock.ts'
import type { Encoding } from '../../wire/codec.ts'
import { udsProxyCodec } from '../../wire/uds/proxy-codec.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { SocketChannel } from '../channel/socket-channel.ts'
import type { Dialer, HandshakeOptions } from '../connection.ts'
import { HandshakeDialer } from '../proxy-end/handshake-dialer.ts'

export interface UdsDialerOptions {
  /** Offered to the agent, best first. Default json alone. */
  readonly encodings?: readonly Encoding[]
  readonly clock?: Clock
}

/** Dials an agent that listens on a Unix socket. */
export function udsDialer(path: string, handshake: HandshakeOptions, options: UdsDialerOptions = {}): Dialer {
  const endpoint = `unix:${path}`
  return new HandshakeDialer(
    {
      endpoint,
      traits: {
        transport: 'uds',
        configureAck: 'reply',
        isExclusive: false,
        maxMessageBytes: MAX_MESSAGE_BYTES,
      },
      versions: [2],
      encodings: options.encodings ?? ['json'],
      codec: () => udsProxyCodec(),
      connect: async (signal) => new SocketChannel(await connectSocket({ path }, endpoint, signal), endpoint),
    },
    handshake,
    options.clock ?? systemClock,
  )
}
