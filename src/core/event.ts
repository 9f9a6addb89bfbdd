/**
 * Header fields as one flat list: name, value, name, value, ... Names are lower case, order and repeats are
 * kept. Flat because the hot path builds and reads it for every request.
 */
export type HeaderList = readonly string[]

export interface RequestMetadata {
  /** For people and logs; may come from the client. Never used as a key. */
  readonly requestId: string
  /** Address without port. */
  readonly clientIp: string
  /** 0 when unknown. */
  readonly clientPort: number
  readonly serverName?: string | undefined
  /** `HTTP/1.1`, `HTTP/2`, ... */
  readonly protocol: string
  readonly tlsVersion?: string | undefined
  readonly tlsCipher?: string | undefined
  readonly routeId?: string | undefined
  readonly upstreamId?: string | undefined
  /** Unix epoch, milliseconds. */
  readonly timestampMs: number
  /** W3C trace context. */
  readonly traceparent?: string | undefined
}

export interface RequestHeadersEvent {
  readonly kind: 'request-headers'
  readonly correlationId: string
  readonly metadata: RequestMetadata
  readonly method: string
  /** Path and query. */
  readonly uri: string
  readonly headers: HeaderList
}

export interface BodyChunkEvent {
  readonly kind: 'request-body-chunk' | 'response-body-chunk'
  readonly correlationId: string
  readonly data: Uint8Array
  /** From 0, without gaps, per request and direction. */
  readonly chunkIndex: number
  readonly isLast: boolean
  /** Bytes, when the sender declared them. */
  readonly totalSize?: number | undefined
  /** Bytes up to and including this chunk. */
  readonly bytesTransferred: number
}

export interface ResponseHeadersEvent {
  readonly kind: 'response-headers'
  readonly correlationId: string
  readonly status: number
  readonly headers: HeaderList
}

export interface RequestCompleteEvent {
  readonly kind: 'request-complete'
  readonly correlationId: string
  readonly status: number
  readonly durationMs: number
  readonly requestBodySize: number
  readonly responseBodySize: number
  readonly upstreamAttempts: number
  readonly upstream?: string | undefined
  readonly fromCache?: boolean | undefined
  readonly error?: string | undefined
}

export type WebSocketOpcode = 'continuation' | 'text' | 'binary' | 'close' | 'ping' | 'pong'

export interface WebSocketFrameEvent {
  readonly kind: 'websocket-frame'
  readonly correlationId: string
  readonly opcode: WebSocketOpcode
  readonly data: Uint8Array
  readonly clientToServer: boolean
  /** Per direction, from 0. */
  readonly frameIndex: number
  readonly fin: boolean
  readonly routeId?: string | undefined
  readonly clientIp: string
}

export interface GuardrailInspectEvent {
  readonly kind: 'guardrail-inspect'
  readonly correlationId: string
  readonly inspectionType: 'prompt_injection' | 'pii_detection'
  readonly content: string
  /** gRPC only. Default `prompt`. */
  readonly contentType?: 'prompt' | 'response' | 'system' | 'tool_call' | 'tool_result' | undefined
  readonly model?: string | undefined
  readonly categories: readonly string[]
  readonly routeId?: string | undefined
  readonly metadata: Readonly<Record<string, string>>
}

export interface ConfigureEvent {
  readonly kind: 'configure'
  readonly correlationId: string
  /** Any JSON value. */
  readonly config: unknown
  readonly configVersion?: string | undefined
  /** True for the one sent while the connection is being made. */
  readonly isInitial: boolean
}

export type AgentEvent =
  | RequestHeadersEvent
  | BodyChunkEvent
  | ResponseHeadersEvent
  | RequestCompleteEvent
  | WebSocketFrameEvent
  | GuardrailInspectEvent
  | ConfigureEvent

export type EventKind = AgentEvent['kind']

/** Every kind, in the order of the wire's EventType numbers 1 to 8. */
export const EVENT_KINDS = [
  'request-headers',
  'request-body-chunk',
  'response-headers',
  'response-body-chunk',
  'request-complete',
  'websocket-frame',
  'guardrail-inspect',
  'configure',
] as const satisfies readonly EventKind[]
