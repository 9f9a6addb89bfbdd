import type {
  AgentEvent,
  BodyChunkEvent,
  ConfigureEvent,
  GuardrailInspectEvent,
  RequestCompleteEvent,
  RequestHeadersEvent,
  ResponseHeadersEvent,
  WebSocketFrameEvent,
  WebSocketOpcode,
} from '../../core/event.ts'
import { unsigned32 } from '../shape/capabilities.ts'
import { isRecord, malformed, put, unsigned } from '../shape/fields.ts'
import * as proto from './proto-fields.ts'
import type { ProtoMessage } from './service.ts'

/** Statuses of events are only watched, so any 16-bit number may pass. */
const MAX_STATUS = 0xffff
/** Weir's number for what the protocol's gRPC form has none for. */
export const CONTINUATION_FRAME = 1000

const FRAME_TYPES: readonly WebSocketOpcode[] = ['text', 'binary', 'ping', 'pong', 'close']
const CONTENT_TYPES = ['prompt', 'response', 'system', 'tool_call', 'tool_result'] as const

/** An event as the member of `ProxyToAgent` that it travels in. */
export function protoEvent(event: AgentEvent, nowMs: number): ProtoMessage {
  switch (event.kind) {
    case 'request-headers':
      return { request_headers: fromRequestHeaders(event) }
    case 'request-body-chunk':
      return { request_body_chunk: fromBodyChunk(event, nowMs) }
    case 'response-body-chunk':
      return { response_body_chunk: fromBodyChunk(event, nowMs) }
    case 'response-headers':
      return {
        response_headers: {
          correlation_id: event.correlationId,
          status_code: unsigned32(event.status),
          headers: proto.plainHeaders(event.headers),
        },
      }
    case 'websocket-frame':
      return { websocket_frame: fromWebSocketFrame(event) }
    case 'guardrail-inspect':
      return { guardrail: fromGuardrail(event) }
    case 'request-complete':
      return { request_complete: fromRequestComplete(event) }
    case 'configure':
      return {
        configure: proto.present({
          config_json: JSON.stringify(event.config ?? null),
          config_version: event.configVersion,
          is_initial: event.isInitial,
          timestamp_ms: unsigned(nowMs),
        }),
      }
  }
}

function fromRequestHeaders(event: RequestHeadersEvent): ProtoMessage {
  const { metadata } = event
  return {
    metadata: proto.present({
      correlation_id: event.correlationId,
      request_id: metadata.requestId,
      client_ip: metadata.clientIp,
      client_port: unsigned32(metadata.clientPort),
      server_name: metadata.serverName,
      protocol: metadata.protocol,
      tls_version: metadata.tlsVersion,
      route_id: metadata.routeId,
      upstream_id: metadata.upstreamId,
      timestamp_ms: unsigned(metadata.timestampMs),
      traceparent: metadata.traceparent,
      tls_cipher: metadata.tlsCipher,
    }),
    method: event.method,
    uri: event.uri,
    http_version: metadata.protocol,
    headers: proto.plainHeaders(event.headers),
  }
}

function fromBodyChunk(event: BodyChunkEvent, nowMs: number): ProtoMessage {
  return proto.present({
    correlation_id: event.correlationId,
    chunk_index: unsigned32(event.chunkIndex),
    data: event.data,
    is_last: event.isLast,
    total_size: event.totalSize === undefined ? undefined : unsigned(event.totalSize),
    bytes_transferred: unsigned(event.bytesTransferred),
    timestamp_ms: unsigned(nowMs),
  })
}

function fromWebSocketFrame(event: WebSocketFrameEvent): ProtoMessage {
  const { opcode } = event
  return proto.present({
    correlation_id: event.correlationId,
    client_to_server: event.clientToServer,
    frame_type: opcode === 'continuation' ? CONTINUATION_FRAME : FRAME_TYPES.indexOf(opcode) + 1,
    payload: event.data,
    frame_index: unsigned(event.frameIndex),
    fin: event.fin,
    route_id: event.routeId,
    client_ip: event.clientIp,
  })
}

function fromGuardrail(event: GuardrailInspectEvent): ProtoMessage {
  return proto.present({
    correlation_id: event.correlationId,
    content: event.content,
    content_type: CONTENT_TYPES.indexOf(event.contentType ?? 'prompt') + 1,
    model: event.model,
    context_json: JSON.stringify(event.metadata),
    inspection_type: event.inspectionType,
    categories: event.categories,
    route_id: event.routeId,
  })
}

function fromRequestComplete(event: RequestCompleteEvent): ProtoMessage {
  return proto.present({
    correlation_id: event.correlationId,
    status_code: unsigned32(event.status),
    duration_ms: unsigned(event.durationMs),
    bytes_received: unsigned(event.requestBodySize),
    bytes_sent: unsigned(event.responseBodySize),
    upstream: event.upstream,
    from_cache: event.fromCache,
    error: event.error,
    upstream_attempts: unsigned32(event.upstreamAttempts),
  })
}

export function requestHeaders(of: ProtoMessage): RequestHeadersEvent {
  const meta = proto.message(of, 'metadata')
  const clientPort = proto.number(meta, 'client_port')
  if (clientPort > 0xffff) throw malformed('metadata.client_port', '0 to 65535', clientPort)
  return {
    kind: 'request-headers',
    correlationId: proto.text(meta, 'correlation_id'),
    metadata: {
      requestId: proto.text(meta, 'request_id'),
      clientIp: proto.text(meta, 'client_ip'),
      clientPort,
      serverName: proto.optionalText(meta, 'server_name'),
      protocol: proto.text(meta, 'protocol'),
      tlsVersion: proto.optionalText(meta, 'tls_version'),
      tlsCipher: proto.optionalText(meta, 'tls_cipher'),
      routeId: proto.optionalText(meta, 'route_id'),
      upstreamId: proto.optionalText(meta, 'upstream_id'),
      timestampMs: proto.number(meta, 'timestamp_ms'),
      traceparent: proto.optionalText(meta, 'traceparent'),
    },
    method: proto.text(of, 'method'),
    uri: proto.text(of, 'uri'),
    headers: proto.headers(of, 'headers'),
  }
}

export function bodyChunk(kind: BodyChunkEvent['kind'], of: ProtoMessage): BodyChunkEvent {
  return {
    kind,
    correlationId: proto.text(of, 'correlation_id'),
    data: proto.bytes(of, 'data'),
    isLast: proto.flag(of, 'is_last'),
    totalSize: proto.optionalNumber(of, 'total_size'),
    chunkIndex: proto.number(of, 'chunk_index'),
    bytesTransferred: proto.number(of, 'bytes_transferred'),
  }
}

export function responseHeaders(of: ProtoMessage): ResponseHeadersEvent {
  return {
    kind: 'response-headers',
    correlationId: proto.text(of, 'correlation_id'),
    status: eventStatus(of),
    headers: proto.headers(of, 'headers'),
  }
}

export function requestComplete(of: ProtoMessage): RequestCompleteEvent {
  return {
    kind: 'request-complete',
    correlationId: proto.text(of, 'correlation_id'),
    status: eventStatus(of),
    durationMs: proto.number(of, 'duration_ms'),
    requestBodySize: proto.number(of, 'bytes_received'),
    responseBodySize: proto.number(of, 'bytes_sent'),
    upstreamAttempts: proto.optionalNumber(of, 'upstream_attempts') ?? 1,
    upstream: proto.optionalText(of, 'upstream'),
    fromCache: proto.flag(of, 'from_cache'),
    error: proto.optionalText(of, 'error'),
  }
}

function eventStatus(of: ProtoMessage): number {
  const status = proto.number(of, 'status_code')
  if (status > MAX_STATUS) throw malformed('status_code', `0 to ${MAX_STATUS}`, status)
  return status
}

export function webSocketFrame(of: ProtoMessage): WebSocketFrameEvent {
  const type = proto.number(of, 'frame_type')
  const opcode = type === CONTINUATION_FRAME ? 'continuation' : FRAME_TYPES[type - 1]
  if (opcode === undefined) throw malformed('frame_type', '1 to 5', type)
  return {
    kind: 'websocket-frame',
    correlationId: proto.text(of, 'correlation_id'),
    opcode,
    data: proto.bytes(of, 'payload'),
    clientToServer: proto.flag(of, 'client_to_server'),
    frameIndex: proto.number(of, 'frame_index'),
    fin: of['fin'] !== false,
    routeId: proto.optionalText(of, 'route_id'),
    clientIp: proto.text(of, 'client_ip'),
  }
}

export function guardrailInspect(of: ProtoMessage): GuardrailInspectEvent {
  const inspection = proto.optionalText(of, 'inspection_type') || 'prompt_injection'
  if (inspection !== 'prompt_injection' && inspection !== 'pii_detection') {
    throw malformed('inspection_type', 'prompt_injection or pii_detection', inspection)
  }
  return {
    kind: 'guardrail-inspect',
    correlationId: proto.text(of, 'correlation_id'),
    inspectionType: inspection,
    content: proto.text(of, 'content'),
    contentType: CONTENT_TYPES[proto.number(of, 'content_type') - 1],
    model: proto.optionalText(of, 'model'),
    categories: proto.texts(of, 'categories'),
    routeId: proto.optionalText(of, 'route_id'),
    metadata: contextOf(proto.text(of, 'context_json')),
  }
}

/** The strings of a JSON object; peers may put anything there, and what is no string is left out. */
function contextOf(json: string): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  let parsed: unknown
  try {
    parsed = JSON.parse(json || '{}')
  } catch {
    return found
  }
  if (!isRecord(parsed)) return found
  for (const key of Object.keys(parsed)) {
    const value = parsed[key]
    if (typeof value === 'string') put(found, key, value)
  }
  return found
}

export function configure(of: ProtoMessage): ConfigureEvent {
  return {
    kind: 'configure',
    correlationId: '',
    config: proto.jsonOf(proto.text(of, 'config_json') || 'null', 'config_json'),
    configVersion: proto.optionalText(of, 'config_version'),
    isInitial: proto.flag(of, 'is_initial'),
  }
}
