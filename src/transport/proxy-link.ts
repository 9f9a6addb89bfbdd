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
import type { TransportName } from './connection.ts'

/**
 * The agent's end of one link to one proxy: the mirror image of `Connection`. The SDK serves agents on it, and
 * Weir's own front ends do, when a proxy takes Weir as its agent.
 */
export interface ProxyLink {
  readonly id: number
  readonly transport: TransportName
  readonly peer: string
  readonly proxyId: string
  readonly proxyVersion: string
  /** Request metadata of the stream (gRPC only), names in lower case; absent where the wire carries none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined
  readonly isClosed: boolean
  /** False while the proxy reads slower than we answer: stop taking on work. */
  readonly isWritable: boolean

  /**
   * Answers one event of `reply.correlationId`. Replies leave in the tick they are given; after close: no-op.
   * This and the other senders throw a WeirError (`sent: false`) when the message cannot be encoded or is too
   * large; the link lives on, and the event still needs an answer.
   */
  reply(reply: AgentReply): void
  /**
   * The data of an event that is being handed over is used beyond the return of the handler. Absent: it may be.
   */
  keepData?(): void
  sendHealth(report: HealthReport): void
  sendFlow(signal: FlowSignal): void
  sendMetrics(report: MetricsReport): void
  /** gRPC only; elsewhere the wire has no log message and this is a no-op. */
  sendLog(message: LogMessage): void
  sendConfigUpdate(request: ConfigUpdateRequest): void
  close(): Promise<void>
  destroy(reason: WeirError): void
}

/** What serves a link. Called synchronously from the reader, in the order of arrival. */
export interface ProxyLinkHandler {
  /** Every kind but `configure`. Must lead to exactly one `link.reply` per event, or to the link's end. */
  onEvent(event: AgentEvent, link: ProxyLink): void
  /**
   * A payload of a known event type that could not be decoded, its correlation id salvaged where possible.
   * Must be answered as a failure, never as an allow.
   */
  onMalformedEvent(correlationId: string, error: WeirError, link: ProxyLink): void
  onCancel(correlationId: string, reason: CancelReason, link: ProxyLink): void
  /** Resolves when applied; a rejection refuses it, with its message as the reason. Later events wait for it. */
  onConfigure(
    config: unknown,
    version: string | undefined,
    isInitial: boolean,
    link: ProxyLink,
  ): Promise<void>
  onOpen(link: ProxyLink): void
  onClosed(link: ProxyLink, reason: WeirError): void
}

/** What the agent's end answers in a handshake. */
export interface AgentEndOptions {
  /** Read at each handshake, so that a changed agent tells the new facts. */
  readonly capabilities: () => AgentCapabilities
  readonly handler: ProxyLinkHandler
  /** Milliseconds a peer has for its handshake. Default 10,000. */
  readonly handshakeTimeoutMs?: number
  /**
   * Body data is looked at while `onEvent` runs, or `keepData` is called: its memory may be used again afterwards.
   * Default false.
   */
  readonly reusesBodyMemory?: boolean
}

/** A bound address that accepts links. */
export interface Listener {
  /** For people; with the real port. */
  readonly address: string
  /** 0 for Unix sockets. */
  readonly port: number
  /** Stops accepting; closes the links it accepted. Idempotent. */
  close(): Promise<void>
}
