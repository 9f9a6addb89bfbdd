import { type PoolSettings, poolSettings } from '../../pool/pool-options.ts'
import type { AgentPolicy } from '../../proxy/agent-policy.ts'
import type { AgentConfig } from '../config/config.ts'

/** Dial, handshake and configure have their own bounds; this one is the sum, and slack. Milliseconds. */
const DIAL_SLACK_MS = 10_000

/** What a pool needs to know of its agent. */
export function poolSettingsOf(agent: AgentConfig): PoolSettings {
  return poolSettings({
    connections: connectionsOf(agent),
    strategy: agent.balance,
    maxConcurrentPerConnection: agent.maxConcurrentPerConnection,
    maxBurst: agent.maxBurst,
    maxWaiters: agent.maxWaiters,
    reconnect: agent.reconnect,
    dialTimeoutMs: agent.connectTimeoutMs + DIAL_SLACK_MS,
    maxConnectionAgeMs: agent.maxConnectionAgeMs,
    maxConnectionUses: agent.maxConnectionUses,
    maxEjectedShare: agent.maxEjectedShare,
    slowStartMs: agent.slowStartMs,
    heartbeatMs: agent.heartbeatMs,
    health: { stallMs: agent.stallMs },
    breaker: agent.breaker,
    sessions: { ...agent.sessions, isStored: true },
  })
}

/** Connections to keep, or the most that may dial in. Changed without a new pool. */
export function connectionsOf(agent: AgentConfig): number {
  return agent.origin.kind === 'reverse' ? agent.origin.maxConnections : agent.connections
}

/**
 * Two agents with the same identity can share a pool: whatever differs is not the pool's concern, or, of an agent that dials
 * in, can be changed while its connections stay.
 */
export function poolIdentity(agent: AgentConfig): string {
  const { origin } = agent
  if (origin.kind === 'reverse') return 'reverse'
  return JSON.stringify([{ ...origin, connectTimeoutMs: agent.connectTimeoutMs }, tuningOf(agent)])
}

/** Everything of a pool's settings but the number of connections, to be compared. */
export function tuningOf(agent: AgentConfig): string {
  return JSON.stringify({ ...poolSettingsOf(agent), connections: 0 })
}

/** How the pipeline treats an agent. Changed without touching its connections. */
export function policyOf(agent: AgentConfig): AgentPolicy {
  return Object.freeze({
    name: agent.name,
    events: new Set(agent.events),
    timeoutMs: agent.timeoutMs,
    maxTimeoutMultiplier: agent.maxTimeoutMultiplier,
    onFailure: agent.onFailure,
    onPause: agent.onPause,
    flowWaitMs: agent.flowWaitMs,
    hedgeAfterMs: agent.hedgeAfterMs,
    onLimit: agent.onLimit,
    body: agent.body,
  })
}
