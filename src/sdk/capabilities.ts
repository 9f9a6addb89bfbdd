import { type AgentCapabilities, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../core/agent-messages.ts'
import { EVENT_KINDS } from '../core/event.ts'
import { VERSION } from '../core/version.ts'
import { type Agent, HANDLER_OF } from './agent.ts'

export interface CapabilityFacts {
  /** Events at once on one connection that the agent likes to get. */
  readonly maxConcurrency: number
  /** Bytes of one body. */
  readonly maxBodySize?: number | undefined
  /** Milliseconds between health reports; 0: none. */
  readonly healthIntervalMs: number
}

/** What an agent announces follows from the handlers it has. */
export function capabilitiesOf<S extends object>(agent: Agent<S>, facts: CapabilityFacts): AgentCapabilities {
  return {
    protocolVersion: 2,
    agentId: agent.id ?? agent.name,
    name: agent.name,
    version: agent.version ?? VERSION,
    supportedEvents: EVENT_KINDS.filter((kind) => agent[HANDLER_OF[kind]] !== undefined),
    features: {
      streamingBody: agent.onRequestBody !== undefined || agent.onResponseBody !== undefined,
      websocket: agent.onWebSocketFrame !== undefined,
      guardrails: agent.onGuardrail !== undefined,
      configPush: agent.onConfigure !== undefined,
      metricsExport: true,
      concurrentRequests: facts.maxConcurrency,
      cancellation: true,
      flowControl: true,
      healthReporting: facts.healthIntervalMs > 0,
    },
    limits: {
      ...DEFAULT_LIMITS,
      maxConcurrency: facts.maxConcurrency,
      maxBodySize: facts.maxBodySize ?? DEFAULT_LIMITS.maxBodySize,
    },
    health: { ...DEFAULT_HEALTH_REPORTING, reportIntervalMs: facts.healthIntervalMs },
  }
}
