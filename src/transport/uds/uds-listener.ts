import { type Clock, systemClock } from '../../core/clock.ts'
import type { Encoding } from '../../wire/codec.ts'
import { udsAgentCodec } from '../../wire/uds/agent-codec.ts'
import { AgentLink } from '../agent-end/agent-link.ts'
import { AgentLinks } from '../agent-end/agent-links.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import { ReadBuffers } from '../channel/read-buffers.ts'
import { SocketChannel } from '../channel/socket-channel.ts'
import type { SocketMode } from '../channel/socket-file.ts'
import { listenSockets } from '../channel/socket-listener.ts'
import type { AgentEndOptions, Listener } from '../proxy-link.ts'

export interface UdsListenerOptions {
  /** Mode of the socket file. Default 0o600; 0o660 lets the group in. */
  readonly mode?: SocketMode
  /** Encodings this agent may choose. Default both; MessagePack only for proxies known to write it soundly. */
  readonly encodings?: readonly Encoding[]
  readonly clock?: Clock
}

/** Serves an agent on a Unix socket. Rejects with CONFLICT when the path is taken. */
export function listenUds(
  path: string,
  agent: AgentEndOptions,
  options: UdsListenerOptions = {},
): Promise<Listener> {
  const links = new AgentLinks()
  const encodings = options.encodings ?? ['msgpack', 'json']
  const clock = options.clock ?? systemClock
  return listenSockets({
    address: { kind: 'unix', path },
    mode: options.mode,
    onSocket: (socket, peer) => {
      const traits = {
        transport: 'uds',
        configureAck: 'reply',
        encodings,
        greeting: 'handshake',
        maxMessageBytes: MAX_MESSAGE_BYTES,
      } as const
      const buffers = new ReadBuffers(agent.reusesBodyMemory === true)
      const channel = new SocketChannel(socket, peer, buffers)
      links.add(new AgentLink(channel, udsAgentCodec(), traits, agent, clock))
    },
    closeAccepted: () => links.closeAll(),
  })
}
