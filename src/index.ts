/*
 * The public face of the package: what an author needs to write an agent. Everything else is the daemon's own and may change.
 */
export type {
  AgentCapabilities,
  CancelReason,
  ConfigUpdate,
  HealthState,
  MetricsReport,
} from './core/agent-messages.ts'
export type { BackoffOptions } from './core/backoff.ts'
export type { Clock } from './core/clock.ts'
export { ERROR_CODES, type ErrorCode, WeirError } from './core/errors.ts'
export type {
  BodyChunkEvent,
  GuardrailInspectEvent,
  HeaderList,
  RequestCompleteEvent,
  RequestHeadersEvent,
  RequestMetadata,
  ResponseHeadersEvent,
  WebSocketFrameEvent,
} from './core/event.ts'
export type { Probe } from './core/probe.ts'
export type { WebSocketDecision } from './core/reply.ts'
export type { Agent, ConfigureFacts, Handled, RequestContext } from './sdk/agent.ts'
export type { AgentOptions } from './sdk/agent-options.ts'
export {
  Answer,
  allow,
  block,
  challenge,
  closeWebSocket,
  dropFrame,
  inspected,
  needsMore,
  redirect,
  replaceBody,
} from './sdk/answer.ts'
export { type DialInOptions, dialIn } from './sdk/dial-in.ts'
export type { DialState } from './sdk/dial-keeper.ts'
export type { GuardrailDetection, GuardrailResult } from './sdk/guardrail-result.ts'
export { headerOf } from './sdk/header-of.ts'
export type { HealthFacts, RunningAgent } from './sdk/running-agent.ts'
export { type ServeGrpcOptions, type ServeUdsOptions, serveGrpc, serveUds } from './sdk/serve.ts'
export type { TlsClientOptions, TlsServerOptions } from './transport/tls-options.ts'
