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

export type TransportName = 'grpc' | 'uds' | 'reverse' | 'v1'

/**
 * One event that waits for its reply on a connection. The caller embeds it in its own record, so that sending
 * allocates nothing. A pending is in at most one connection's table; exactly one of `onReply` and `onLost` is
 * called, once, unless it is abandoned first.
 */
export interface PendingReply {
  readonly correlationId: string
  /** Next younger event of the same correlation id on this connection. Belongs to the pending table. */
  nextSameId: PendingReply | null
  onReply(reply: AgentReply): void
  /** The connection died after the event was handed over (`sent: true`, outcome unknown), or a reply was bad. */
  onLost(error: WeirError): void
}

/** What a connection tells its owner. Set once, before the first event; called synchronously from the reader. */
export interface ConnectionObserver {
  /** Once, when the connection can carry nothing more; every pending was already told. */
  onClosed(reason: WeirError): void
  /** The peer will end the connection before long; until then it carries events as before. */
  onRetiring(): void
  onHealth(report: HealthReport): void
  onFlow(signal: FlowSignal): void
  onMetrics(report: MetricsReport): void
  onLog(message: LogMessage): void
  onConfigUpdate(request: ConfigUpdateRequest): void
  /** A reply nobody waits for: late, duplicate or invented. Harmless, counted. */
  onStrayReply(correlationId: string): void
  /** The socket drained: `isWritable` is true again. */
  onWritable(): void
}

/**
 * The proxy's end of one live link to one agent, ready to carry events (handshake and initial configure are
 * behind it). Every transport implements it and passes the one conformance suite in test/conformance.
 */
export interface Connection {
  readonly id: number
  readonly transport: TransportName
  /** Address of the peer for people: `unix:/run/waf.sock`, `127.0.0.1:50061`. */
  readonly peer: string
  readonly capabilities: AgentCapabilities
  readonly isClosed: boolean
  /** False while the peer takes bytes slower than we make them; pick another connection. */
  readonly isWritable: boolean
  /** Events waiting for a reply. */
  readonly pendingCount: number
  /** One event at a time: a second `send` before the reply throws. Legacy v1 framing only. */
  readonly isExclusive: boolean

  /** Frames are being gathered: what is sent now leaves in the same write. */
  readonly isGathering: boolean

  /** What the agent said before, its end included, is told in this call. */
  observe(observer: ConnectionObserver): void

  /**
   * Encodes the event and queues its bytes for the write of this tick, or of this turn of the event loop while other
   * events wait for replies. Synchronous.
   * @throws WeirError with `sent: false` (CONNECTION_LOST, TOO_LARGE, INVALID_ARGUMENT, CONFLICT) when no byte
   *   was taken; the connection stays usable unless it was closed already.
   */
  send(event: AgentEvent, pending: PendingReply): void

  /**
   * Forgets a pending: its late reply will be stray. Returns false when it was not waiting here. Replies carry no
   * mark but their id, so until the late reply has come, another `send` of the same id throws CONFLICT (`sent:
   * false`); an exclusive connection, whose replies carry no id at all, is closed instead.
   */
  abandon(pending: PendingReply): boolean

  /** Tells the agent to stop working on a request. Advisory, no answer. No-op where the wire has no cancel. */
  cancel(correlationId: string, reason: CancelReason): void

  /** Round trip in milliseconds; 0 where the wire has no ping. Rejects with TIMEOUT or CONNECTION_LOST. */
  ping(timeoutMs: number): Promise<number>

  /**
   * Pushes a configuration and waits for its acknowledgement.
   * Rejects with PERMISSION_DENIED when the agent refuses (its reason in the message), TIMEOUT, CONNECTION_LOST.
   * Over gRPC a refusal ends the connection: the protocol has no other way to say it.
   */
  configure(config: unknown, version: string | undefined, timeoutMs: number): Promise<void>

  /** Flushes what is queued, ends both directions, fails what still waits. Idempotent; resolves when gone. */
  close(): Promise<void>
  /** Drops the link at once: pending calls fail with `reason`. Idempotent. */
  destroy(reason: WeirError): void
}

/** Makes connections to one endpoint. */
export interface Dialer {
  /** Address for people and logs. */
  readonly endpoint: string
  /**
   * Dials, shakes hands and delivers the agent's configuration, all before it resolves. Two bounds, as the
   * protocol has it: `connectTimeoutMs` over dial and handshake, `configTimeoutMs` over the configure.
   * Rejects with UNAVAILABLE, TIMEOUT, PROTOCOL_ERROR, PERMISSION_DENIED (agent refused), CANCELLED.
   */
  dial(signal: AbortSignal): Promise<Connection>
}

/** What the proxy's end says of itself and demands while a connection is made. */
export interface HandshakeOptions {
  /** Default `weir`. */
  readonly proxyId: string
  readonly proxyVersion: string
  /** The agent's own configuration, delivered before the first event; absent: none is sent. */
  readonly config?: unknown
  readonly configVersion?: string | undefined
  /** Milliseconds. Default 5,000 (the protocol's). */
  readonly connectTimeoutMs: number
  /** Milliseconds. Default 5,000 (the protocol's minimum). */
  readonly configTimeoutMs: number
}
