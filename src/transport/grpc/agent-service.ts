import type { ServerHttp2Stream } from 'node:http2'
import { type Clock, systemClock } from '../../core/clock.ts'
import type { FrameLimits } from '../../wire/codec.ts'
import { grpcAgentCodec } from '../../wire/grpc/agent-codec.ts'
import { CONTROL_STREAM_PATH, PROCESS_EVENT_PATH, PROCESS_STREAM_PATH } from '../../wire/grpc/service.ts'
import { AgentLink, type LinkTraits } from '../agent-end/agent-link.ts'
import type { AgentLinks } from '../agent-end/agent-links.ts'
import { MAX_MESSAGE_BYTES } from '../channel/byte-channel.ts'
import type { AgentEndOptions } from '../proxy-link.ts'
import type { GrpcHandler, GrpcRoutes } from './grpc-routes.ts'
import { GRPC_STATUS, statusTrailers } from './grpc-status.ts'
import { Http2ServerChannel } from './http2-server-channel.ts'
import { respond } from './respond.ts'
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
      (stream, headers, peer) => {
        respond(stream)
        const traits = { ...GRPC_TRAITS, maxMessageBytes, metadata: metadataOf(headers) }
        links.add(new AgentLink(new Http2ServerChannel(stream, peer), codec, traits, agent, clock))
      },
    ],
    [
      PROCESS_EVENT_PATH,
      (stream, headers, peer) => serveUnaryEvent(stream, codec, agent, peer, metadataOf(headers)),
    ],
    [CONTROL_STREAM_PATH, (stream) => acceptControlStream(stream)],
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
function acceptControlStream(stream: ServerHttp2Stream): void {
  respond(stream)
  stream.once('wantTrailers', () => stream.sendTrailers(statusTrailers(GRPC_STATUS.ok, '')))
  stream.on('error', () => {})
  stream.once('end', () => stream.end())
  stream.resume()
}
