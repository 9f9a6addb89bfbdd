import {
  type AgentCapabilities,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../core/agent-messages.ts'
import { EVENT_KINDS, type EventKind } from '../../core/event.ts'
import type { Chain } from '../../proxy/chain.ts'

/** Events at once on one connection; requests wait in the agents' own queues, under their own limits. */
const MAX_CONCURRENCY = 1000

/**
 * What Weir announces to a proxy: whatever some chain wants. Request headers place a request and `request-complete`
 * frees it, so both are always wanted.
 */
export function chainCapabilities(chains: readonly Chain[], version: string): AgentCapabilities {
  const wants = (kind: EventKind): boolean => chains.some((chain) => chain.wants(kind))
  const bodies = chains.flatMap(({ requestBody, responseBody }) => [requestBody, responseBody])
  const largest = Math.max(0, ...bodies.map((plan) => plan.maxBytes))
  return {
    protocolVersion: 2,
    agentId: 'weir',
    name: 'weir',
    version,
    supportedEvents: EVENT_KINDS.filter(
      (kind) => kind === 'request-headers' || kind === 'request-complete' || wants(kind),
    ),
    features: {
      streamingBody: bodies.some((plan) => plan.mode !== 'none'),
      websocket: wants('websocket-frame'),
      guardrails: wants('guardrail-inspect'),
      configPush: false,
      metricsExport: false,
      concurrentRequests: MAX_CONCURRENCY,
      cancellation: true,
      flowControl: true,
      healthReporting: false,
    },
    limits: {
      ...DEFAULT_LIMITS,
      maxConcurrency: MAX_CONCURRENCY,
      maxBodySize: largest === 0 ? DEFAULT_LIMITS.maxBodySize : largest,
    },
    health: { ...DEFAULT_HEALTH_REPORTING, reportIntervalMs: 0 },
  }
}
