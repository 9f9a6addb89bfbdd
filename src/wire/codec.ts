import type {
  AgentCapabilities,
  CancelReason,
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../core/agent-messages.ts'
import type { WeirError } from '../core/errors.ts'
import type { AgentEvent } from '../core/event.ts'
import type { AgentReply } from '../core/reply.ts'
import type { ByteWriter } from './byte-writer.ts'

export type Encoding = 'json' | 'msgpack'

export interface HandshakeRequest {
  readonly supportedVersions: readonly number[]
  readonly proxyId: string
  readonly proxyVersion: string
  /** Any JSON value; undefined or null: none. */
  readonly config: unknown
  /** Unix-socket frames only, best first. Unknown names of a peer are left out. */
  readonly supportedEncodings: readonly Encoding[]
}

export interface HandshakeResponse {
  readonly protocolVersion: number
  readonly capabilities: AgentCapabilities
  readonly success: boolean
  readonly error?: string | undefined
  /** Unix-socket frames only; absent on the wire means json. */
  readonly encoding: Encoding
  /**
   * The agent reads body data as MessagePack bin: an extension of ours (key `raw_bodies`), absent with every other
   * peer, which gets base64 text.
   */
  readonly rawBodies?: boolean | undefined
}

/** First message of an agent that dials in. */
export interface RegistrationRequest {
  readonly protocolVersion: number
  readonly agentId: string
  readonly capabilities: AgentCapabilities
  readonly authToken?: string | undefined
  readonly metadata?: unknown
}

export interface RegistrationResponse {
  readonly success: boolean
  readonly error?: string | undefined
  readonly proxyId: string
  readonly proxyVersion: string
  /** Empty on refusal. */
  readonly connectionId: string
  /** Weir's own extension: what the agent's offer was answered with. Absent: json. */
  readonly encoding?: Encoding | undefined
}

/** Messages that an agent sends, as the proxy's end reads them. Called in the order of the bytes. */
export interface AgentMessageSink {
  onReply(reply: AgentReply): void
  /** A reply that cannot be used (bad status, no decision, ...). The id is '' when it could not be salvaged. */
  onMalformedReply(correlationId: string, error: WeirError): void
  onHandshakeResponse(response: HandshakeResponse): void
  /** Reverse connections only. */
  onRegistration(request: RegistrationRequest): void
  onHealth(report: HealthReport): void
  onMetrics(report: MetricsReport): void
  onConfigUpdate(request: ConfigUpdateRequest): void
  onFlow(signal: FlowSignal): void
  onLog(message: LogMessage): void
  onPong(sequence: number): void
  /** A control message (health, flow, ...) that did not decode: counted, the connection lives on. */
  onMalformedControl(error: WeirError): void
}

/** Messages that a proxy sends, as the agent's end reads them. */
export interface ProxyMessageSink {
  onHandshake(request: HandshakeRequest): void
  /** Reverse connections only. */
  onRegistrationResponse(response: RegistrationResponse): void
  onEvent(event: AgentEvent): void
  /** A known event type whose payload did not decode; the id is salvaged where possible, else ''. */
  onMalformedEvent(correlationId: string, error: WeirError): void
  onCancel(correlationId: string, reason: CancelReason): void
  /** `echo` writes the answer: on Unix sockets a byte copy of the ping, on gRPC a pong message. */
  onPing(echo: (out: ByteWriter) => void): void
}

/**
 * Cuts a byte stream into frames and decodes them. Payloads are read in place; whatever a sink keeps is its own
 * copy (strings, `Buffer` copies of body data), or a view on bytes that are never written again (large body data). Splitting the stream anywhere changes nothing.
 */
export interface MessageReader {
  /** @throws WeirError PROTOCOL_ERROR or TOO_LARGE: the stream is unusable, close the connection. */
  push(chunk: Buffer): void
  /** The stream ended. @throws WeirError PROTOCOL_ERROR when it ended inside a frame. */
  end(): void
  /** Bytes held of an incomplete frame. */
  readonly bufferedBytes: number
  /** Uses the memory of large frames again, unless `keptCount` has grown while a frame was handed on. */
  reuse(keptCount: () => number): void
  /** Moves those bytes to the start of `to`, which may overlap them; returns how many they are. */
  moveHeld(to: Buffer): number
  /** Another limit from the next frame on, for example after a registration. Bytes. */
  setMaxPayloadBytes(bytes: number): void
}

/**
 * What the proxy's end of a connection writes and how it reads. Every method appends one whole frame to `out`;
 * on a throw (WeirError, `sent: false`) `out` is as it was before.
 */
export interface ProxyCodec {
  writeHandshake(request: HandshakeRequest, out: ByteWriter): void
  writeRegistrationResponse(response: RegistrationResponse, out: ByteWriter): void
  writeEvent(event: AgentEvent, out: ByteWriter): void
  writeCancel(correlationId: string, reason: CancelReason, timestampMs: number, out: ByteWriter): void
  writePing(sequence: number, timestampMs: number, out: ByteWriter): void
  reader(sink: AgentMessageSink): MessageReader
}

/** The agent's end. */
export interface AgentCodec {
  writeHandshakeResponse(response: HandshakeResponse, out: ByteWriter): void
  writeRegistration(request: RegistrationRequest, out: ByteWriter): void
  writeReply(reply: AgentReply, out: ByteWriter): void
  writeHealth(report: HealthReport, out: ByteWriter): void
  writeMetrics(report: MetricsReport, out: ByteWriter): void
  writeConfigUpdate(request: ConfigUpdateRequest, out: ByteWriter): void
  writeFlow(signal: FlowSignal, out: ByteWriter): void
  /** No-op where the wire has no log message (Unix-socket frames). */
  writeLog(message: LogMessage, out: ByteWriter): void
  reader(sink: ProxyMessageSink): MessageReader
}

export interface FrameLimits {
  /** Largest payload accepted, bytes. Unix-socket frames: at most 16,777,215. */
  readonly maxPayloadBytes?: number
  /**
   * Largest payload written, bytes; a larger one throws TOO_LARGE. Default: 16,777,215 on Unix-socket frames,
   * 4 MiB on gRPC, where peers in use accept no more.
   */
  readonly maxSendBytes?: number
}

/**
 * Unix-socket frames. Handshake, registration, cancel and ping are always JSON; `useEncoding` switches the
 * rest once the handshake has chosen. Made per connection by `udsProxyCodec()` / `udsAgentCodec()` in `uds/`.
 */
export interface SwitchableEncoding {
  readonly encoding: Encoding
  /** `rawBodies`: write body data as bin; only where the peer said that it reads it. Default false. */
  useEncoding(encoding: Encoding, rawBodies?: boolean): void
}
/* gRPC messages (5-byte prefix + protobuf): `grpcProxyCodec()` / `grpcAgentCodec()` in `grpc/`, stateless. */
