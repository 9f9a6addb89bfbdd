import type { CancelReason } from '../core/agent-messages.ts'
import type {
  BodyChunkEvent,
  EventKind,
  GuardrailInspectEvent,
  RequestCompleteEvent,
  RequestHeadersEvent,
  ResponseHeadersEvent,
  WebSocketFrameEvent,
} from '../core/event.ts'
import type { Answer } from './answer.ts'

/** What a handler knows of the request beside the event. One object for all events of a request. */
export interface RequestContext<State extends object = Record<string, unknown>> {
  readonly correlationId: string
  /** Who asks, for people: the proxy's name and address. */
  readonly proxyId: string
  readonly peer: string
  /**
   * Fires when the proxy cancels the request or its connection is lost; whatever is answered then is not sent.
   * Costs nothing until it is read.
   */
  readonly signal: AbortSignal
  /**
   * The agent's own notes, kept from one event of the request to the next: until `request-complete`, a cancel, the loss
   * of the connection or five idle minutes. Costs nothing until it is read.
   */
  readonly state: Partial<State>
}

/** Nothing means allow. */
// biome-ignore lint/suspicious/noConfusingVoidType: with it, handlers that return an answer on some paths only compile under noImplicitReturns
export type Returned = Answer | undefined | void
export type Handled = Returned | Promise<Returned>

/** How a configuration came. */
export interface ConfigureFacts {
  readonly version: string | undefined
  /** Part of making a connection, not pushed later. */
  readonly isInitial: boolean
}

/**
 * An agent: what it is called and what it does with each kind of event. All handlers are optional, and those present are
 * announced to the proxy. Events of one request come in order, of several requests side by side. A kind without
 * a handler is allowed; a handler that throws, or returns anything but an answer, blocks the request.
 */
export interface Agent<State extends object = Record<string, unknown>> {
  /** For people and logs. */
  readonly name: string
  /** Id the proxy knows it by. Default: the name. */
  readonly id?: string | undefined
  /** What operators see beside the name. Default: the version of this package. */
  readonly version?: string | undefined
  onRequestHeaders?(event: RequestHeadersEvent, context: RequestContext<State>): Handled
  onRequestBody?(chunk: BodyChunkEvent, context: RequestContext<State>): Handled
  onResponseHeaders?(event: ResponseHeadersEvent, context: RequestContext<State>): Handled
  onResponseBody?(chunk: BodyChunkEvent, context: RequestContext<State>): Handled
  onRequestComplete?(event: RequestCompleteEvent, context: RequestContext<State>): Handled
  onWebSocketFrame?(frame: WebSocketFrameEvent, context: RequestContext<State>): Handled
  onGuardrail?(event: GuardrailInspectEvent, context: RequestContext<State>): Handled
  /**
   * Applies a configuration: resolves when it is in force, throws to refuse it with the error's message. Equal content
   * that comes over several connections is applied once. Without this handler every configuration is accepted.
   */
  onConfigure?(config: unknown, facts: ConfigureFacts): void | Promise<void>
  /** The proxy no longer wants an answer to a request that is being handled or has state. */
  onCancel?(context: RequestContext<State>, reason: CancelReason): void
}

/** The handler that each kind of event goes to. */
export const HANDLER_OF = {
  'request-headers': 'onRequestHeaders',
  'request-body-chunk': 'onRequestBody',
  'response-headers': 'onResponseHeaders',
  'response-body-chunk': 'onResponseBody',
  'request-complete': 'onRequestComplete',
  'websocket-frame': 'onWebSocketFrame',
  'guardrail-inspect': 'onGuardrail',
  configure: 'onConfigure',
} as const satisfies Record<EventKind, keyof Agent>
