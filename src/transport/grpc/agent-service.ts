import { type Clock, systemClock } from '../../core/clock.ts'
import type { FrameLimits } from '../../wire/codec.ts'
import { grpcAgentCodec } from '../../wire/grpc/agent-codec.ts'
import { CONTROL_STREAM_PATH, PROCESS_EVENT_PATH, PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { AgentLink, type LinkTraits } from '../agent-end/agent-link.ts'
import type { AgentLinks } from '../agent-end/agent-links.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import type { AgentEndOptions } from '../proxy-link.ts'
import type { GrpcHandler, GrpcRoutes } from './grpc-routes.ts'
import { respond } from './respond.ts'
import type { ServerCall } from './server-call.ts'
import { serveUnaryEvent } from './unary-event.ts'

export const GRPC_TRAITS: Omit<LinkTraits, 'maxMessageBytes'> = {
  transport: 'grpc',
  configureAck: 'pong',
  encodings: [],
  greeting: 'handshake',
}

/**
 * The agent's gRPC service (ProcessStream, ProcessEvent, ControlStream), to be mounted on any HTTP/2 server. Its
 * links are put into `links`, whose owner closes them.
 */
export function agentServiceRoutes(
  agent: AgentEndOptions,
  links: AgentLinks,
  clock: Clock = systemClock,
  limits: FrameLimits = {},
): GrpcRoutes {
  const maxMessageBytes = limits.maxPayloadBytes ?? MAX_MESSAGE_BYTES
  const codec = grpcAgentCodec({ ...limits, maxPayloadBytes: maxMessageBytes })
  return new Map<string, GrpcHandler>([
    [
      PROCESS_STREAM_PATH,
      (call) => {
        respond(call)
        const traits = { ...GRPC_TRAITS, maxMessageBytes, metadata: metadataOf(call.headers) }
        links.add(new AgentLink(call, codec, traits, agent, clock))
      },
    ],
    [PROCESS_EVENT_PATH, (call) => serveUnaryEvent(call, codec, agent, metadataOf(call.headers))],
    [CONTROL_STREAM_PATH, acceptControlStream],
  ])
}

/** Request metadata of a call: its headers without those of HTTP/2 itself. */
export function metadataOf(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers))
    if (typeof value === 'string' && !name.startsWith(':')) metadata[name] = value
  return metadata
}

/**
 * The service has the caller of ControlStream report as if it were the agent, which no proxy does. It is kept
 * open for callers that expect it; what they say is read and dropped.
 */
function acceptControlStream(call: ServerCall): void {
  respond(call)
  call.start({ onData() {}, onEnd: () => call.end(), onRetiring() {}, onClosed() {} })
}
