import {
  type AgentCapabilities,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../core/agent-messages.ts'
import { type Clock, systemClock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { EVENT_KINDS } from '../../core/event.ts'
import { V1_MAX_PAYLOAD_BYTES } from '../../wire/v1/framing.ts'
import { v1ProxyCodec } from '../../wire/v1/proxy-codec.ts'
import { connectSocket } from '../channel/connect-socket.ts'
import { SocketChannel } from '../channel/socket-channel.ts'
import type { Connection, Dialer, HandshakeOptions } from '../connection.ts'
import { type ConnectionTraits, MuxConnection } from '../proxy-end/mux-connection.ts'

const TRAITS: ConnectionTraits = {
  transport: 'v1',
  configureAck: 'reply',
  isExclusive: true,
  maxMessageBytes: V1_MAX_PAYLOAD_BYTES,
}

export interface V1DialerOptions {
  /** Our name for the agent, which its configure event carries: this wire has no handshake to learn it from. */
  readonly agentId?: string
  readonly clock?: Clock
}

/** Dials an agent that speaks the legacy framing on a Unix socket: one event at a time, no handshake. */
export function v1Dialer(path: string, handshake: HandshakeOptions, options: V1DialerOptions = {}): Dialer {
  const endpoint = `v1:unix:${path}`
  const clock = options.clock ?? systemClock
  const agentId = options.agentId ?? ''
  return { endpoint, dial }

  async function dial(signal: AbortSignal): Promise<Connection> {
    const { config, configVersion, connectTimeoutMs, configTimeoutMs } = handshake
    const attempt = new AbortController()
    const cancel = (): void =>
      attempt.abort(new WeirError('CANCELLED', `dialing ${endpoint} was called off`, { sent: false }))
    if (signal.aborted) cancel()
    signal.addEventListener('abort', cancel, { once: true })
    const timer = clock.setTimer(connectTimeoutMs, () => {
      const message = `${endpoint} did not accept within ${connectTimeoutMs} ms`
      attempt.abort(new WeirError('TIMEOUT', message, { sent: false }))
    })
    try {
      const socket = await connectSocket({ path }, endpoint, attempt.signal)
      timer.cancel()
      const connection = open(new SocketChannel(socket, endpoint))
      if (config !== undefined && config !== null) {
        const drop = (): void => connection.destroy(attempt.signal.reason as WeirError)
        attempt.signal.addEventListener('abort', drop, { once: true })
        await connection
          .deliverConfiguration(config, configVersion, configTimeoutMs, true)
          .catch((error: unknown) => {
            connection.destroy(WeirError.from(error))
            throw error
          })
      }
      return connection
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', cancel)
    }
  }

  function open(channel: SocketChannel): MuxConnection {
    const greeting = { onFailed: (): void => {} }
    const connection = new MuxConnection(
      channel,
      v1ProxyCodec(agentId),
      TRAITS,
      greeting,
      clock,
      V1_MAX_PAYLOAD_BYTES,
    )
    connection.admit(assumedCapabilities(agentId))
    return connection
  }
}

/** Nothing is told on this wire; every event may be asked about, one at a time. */
function assumedCapabilities(agentId: string): AgentCapabilities {
  return {
    protocolVersion: 1,
    agentId,
    name: agentId,
    version: '',
    supportedEvents: EVENT_KINDS,
    features: { ...DEFAULT_FEATURES, concurrentRequests: 1 },
    limits: { ...DEFAULT_LIMITS, maxConcurrency: 1 },
    health: DEFAULT_HEALTH_REPORTING,
  }
}
