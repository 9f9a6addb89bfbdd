import type {
  BodyChunkEvent,
  ConfigureEvent,
  GuardrailInspectEvent,
  RequestCompleteEvent,
  RequestHeadersEvent,
  RequestMetadata,
  ResponseHeadersEvent,
  WebSocketFrameEvent,
  WebSocketOpcode,
} from '../../core/event.ts'
import { bodyBytes } from './body.ts'
import * as field from './fields.ts'
import { headersFromMap } from './headers.ts'
import { timestampMs } from './timestamp.ts'

/** Statuses of events are only watched, so any 16-bit number may pass; those of decisions are stricter. */
const MAX_STATUS = 0xffff
const U32 = 0xffff_ffff
const OPCODES: readonly string[] = ['continuation', 'text', 'binary', 'close', 'ping', 'pong']
const CONTENT_TYPES: readonly string[] = ['prompt', 'response', 'system', 'tool_call', 'tool_result']

export function requestHeaders(value: unknown): RequestHeadersEvent {
  const event = field.struct(value, 'request headers')
  const meta = field.struct(field.member(event, 'metadata', 0), 'metadata')
  const metadata = requestMetadata(meta)
  const own = field.optionalText(field.member(meta, 'correlation_id', 0), 'metadata.correlation_id')
  const outer = field.member(event, 'correlation_id', -1)
  return {
    kind: 'request-headers',
    correlationId: own ?? field.text(outer, 'metadata.correlation_id'),
    metadata,
    method: field.text(field.member(event, 'method', 1), 'method'),
    uri: field.text(field.member(event, 'uri', 2), 'uri'),
    headers: headersFromMap(field.member(event, 'headers', 3), 'headers'),
  }
}

function requestMetadata(meta: field.Struct): RequestMetadata {
  return {
    requestId: field.text(field.member(meta, 'request_id', 1), 'metadata.request_id'),
    clientIp: field.text(field.member(meta, 'client_ip', 2), 'metadata.client_ip'),
    clientPort: field.count(field.member(meta, 'client_port', 3), 'metadata.client_port', 0xffff),
    serverName: field.optionalText(field.member(meta, 'server_name', 4), 'metadata.server_name'),
    protocol: field.text(field.member(meta, 'protocol', 5), 'metadata.protocol'),
    tlsVersion: field.optionalText(field.member(meta, 'tls_version', 6), 'metadata.tls_version'),
    tlsCipher: field.optionalText(field.member(meta, 'tls_cipher', 7), 'metadata.tls_cipher'),
    routeId: field.optionalText(field.member(meta, 'route_id', 8), 'metadata.route_id'),
    upstreamId: field.optionalText(field.member(meta, 'upstream_id', 9), 'metadata.upstream_id'),
    timestampMs: timestampMs(field.member(meta, 'timestamp', 10)),
    traceparent: field.optionalText(field.member(meta, 'traceparent', 11), 'metadata.traceparent'),
  }
}

export function bodyChunk(kind: BodyChunkEvent['kind'], value: unknown): BodyChunkEvent {
  const event = field.struct(value, kind)
  const bytesName = kind === 'request-body-chunk' ? 'bytes_received' : 'bytes_sent'
  /* Five positional members mean that an old peer left out total_size: what follows has moved up by one. */
  const shift = Array.isArray(event) && event.length === 5 ? 1 : 0
  const total = shift === 1 ? undefined : field.member(event, 'total_size', 3)
  return {
    kind,
    correlationId: field.text(field.member(event, 'correlation_id', 0), 'correlation_id'),
    data: bodyBytes(field.member(event, 'data', 1), 'data'),
    isLast: field.flag(field.member(event, 'is_last', 2), 'is_last'),
    totalSize: field.optionalCount(total, 'total_size'),
    chunkIndex: field.countOr(field.member(event, 'chunk_index', 4 - shift), 0, 'chunk_index'),
    bytesTransferred: field.countOr(field.member(event, bytesName, 5 - shift), 0, bytesName),
  }
}

export function responseHeaders(value: unknown): ResponseHeadersEvent {
  const event = field.struct(value, 'response headers')
  return {
    kind: 'response-headers',
    correlationId: field.text(field.member(event, 'correlation_id', 0), 'correlation_id'),
    status: field.count(field.member(event, 'status', 1), 'status', MAX_STATUS),
    headers: headersFromMap(field.member(event, 'headers', 2), 'headers'),
  }
}

export function requestComplete(value: unknown): RequestCompleteEvent {
  const event = field.struct(value, 'request complete')
  return {
    kind: 'request-complete',
    correlationId: field.text(field.member(event, 'correlation_id', 0), 'correlation_id'),
    status: field.count(field.member(event, 'status', 1), 'status', MAX_STATUS),
    durationMs: field.count(field.member(event, 'duration_ms', 2), 'duration_ms'),
    requestBodySize: field.count(field.member(event, 'request_body_size', 3), 'request_body_size'),
    responseBodySize: field.count(field.member(event, 'response_body_size', 4), 'response_body_size'),
    upstreamAttempts: field.count(field.member(event, 'upstream_attempts', 5), 'upstream_attempts', U32),
    error: field.optionalText(field.member(event, 'error', 6), 'error'),
    upstream: field.optionalText(field.member(event, 'upstream', -1), 'upstream'),
    fromCache: optionalFlag(field.member(event, 'from_cache', -1), 'from_cache'),
  }
}

export function webSocketFrame(value: unknown): WebSocketFrameEvent {
  const event = field.struct(value, 'websocket frame')
  return {
    kind: 'websocket-frame',
    correlationId: field.text(field.member(event, 'correlation_id', 0), 'correlation_id'),
    opcode: oneOf<WebSocketOpcode>(field.member(event, 'opcode', 1), OPCODES, 'opcode'),
    data: bodyBytes(field.member(event, 'data', 2), 'data'),
    clientToServer: field.flag(field.member(event, 'client_to_server', 3), 'client_to_server'),
    frameIndex: field.count(field.member(event, 'frame_index', 4), 'frame_index'),
    fin: field.flag(field.member(event, 'fin', 5), 'fin'),
    routeId: field.optionalText(field.member(event, 'route_id', 6), 'route_id'),
    clientIp: field.text(field.member(event, 'client_ip', 7), 'client_ip'),
  }
}

export function guardrailInspect(value: unknown): GuardrailInspectEvent {
  const event = field.struct(value, 'guardrail inspect')
  const inspection = field.member(event, 'inspection_type', 1)
  const contentType = field.member(event, 'content_type', -1)
  return {
    kind: 'guardrail-inspect',
    correlationId: field.text(field.member(event, 'correlation_id', 0), 'correlation_id'),
    inspectionType: oneOf(inspection, ['prompt_injection', 'pii_detection'], 'inspection_type'),
    content: field.text(field.member(event, 'content', 2), 'content'),
    contentType:
      contentType === undefined || contentType === null
        ? undefined
        : oneOf(contentType, CONTENT_TYPES, 'content_type'),
    model: field.optionalText(field.member(event, 'model', 3), 'model'),
    categories: field.textList(field.member(event, 'categories', 4), 'categories'),
    routeId: field.optionalText(field.member(event, 'route_id', 5), 'route_id'),
    metadata: field.textMap(field.member(event, 'metadata', 6), 'metadata'),
  }
}

/** The wire does not say whether it is the first; the reader of the connection knows. */
export function configure(value: unknown, isInitial: boolean): ConfigureEvent {
  const event = field.struct(value, 'configure')
  return {
    kind: 'configure',
    correlationId: field.textOr(field.member(event, 'correlation_id', 0), '', 'correlation_id'),
    config: field.member(event, 'config', 1) ?? null,
    configVersion: field.optionalText(field.member(event, 'config_version', 2), 'config_version'),
    isInitial,
  }
}

function optionalFlag(value: unknown, what: string): boolean | undefined {
  return value === undefined || value === null ? undefined : field.flag(value, what)
}

function oneOf<T extends string>(value: unknown, names: readonly string[], what: string): T {
  const name = enumName(value)
  if (name !== undefined && names.includes(name)) return name as T
  throw field.malformed(what, `one of ${names.join(', ')}`, value)
}

/** A unit variant: its name, or a map of that one name. */
function enumName(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (!field.isRecord(value)) return undefined
  const keys = Object.keys(value)
  return keys.length === 1 ? keys[0] : undefined
}
