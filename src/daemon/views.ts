import type { AgentView, ConnectionView, LimitView } from '../admin/views.ts'
import type { PoolSnapshot } from '../pool/pool-snapshot.ts'
import type { Limiter } from '../proxy/limits/limiter.ts'
import type { AgentEntry } from './agents/agent-set.ts'
import { formatEndpoint } from './config/addresses.ts'

export function agentView({ config, pool, isDrained }: AgentEntry): AgentView {
  const snapshot = pool.snapshot()
  const { origin } = config
  return {
    name: config.name,
    origin: origin.kind,
    endpoint: origin.kind === 'dialed' ? formatEndpoint(origin.endpoint) : 'reverse',
    state: isDrained ? 'draining' : stateOf(snapshot),
    connections: snapshot.active,
    availableConnections: snapshot.available,
    wantedConnections: snapshot.target,
    inFlight: snapshot.inFlight,
    waiting: snapshot.waiting,
    breaker: snapshot.breaker,
    onFailure: config.onFailure,
    software: snapshot.connections[0]?.agentVersion ?? '',
  }
}

function stateOf(snapshot: PoolSnapshot): AgentView['state'] {
  if (snapshot.state === 'draining') return 'draining'
  if (snapshot.active - snapshot.retiring - snapshot.configuring <= 0) return 'unavailable'
  return snapshot.paused === snapshot.active ? 'paused' : 'ready'
}

export function connectionViews({ config, pool }: AgentEntry): ConnectionView[] {
  return pool.snapshot().connections.map((connection) => ({
    id: connection.id,
    agent: config.name,
    transport: connection.transport,
    peer: connection.peer,
    state: connection.stage === 'ready' ? readyState(connection) : connection.stage,
    inFlight: connection.inFlight,
    latencyMs: connection.latencyMs,
    ageMs: connection.ageMs,
  }))
}

function readyState(connection: PoolSnapshot['connections'][number]): string {
  if (connection.isPaused) return 'paused'
  if (connection.health !== 'healthy') return connection.health
  return connection.isAvailable ? 'ready' : 'full'
}

export function limitViews({ config }: AgentEntry, limiter: Limiter): LimitView[] {
  const { name: agent, limits } = config
  const tokens = limiter.peek({ agent, facts: { clientIp: '' }, routeName: '', bytes: 0 })
  return limits.map(({ name, key, cost, ratePerSecond, burst, shadow }) => ({
    agent,
    name,
    key: key.by === 'header' ? `header:${key.name}` : key.by,
    cost,
    ratePerSecond,
    burst,
    isShadow: shadow,
    /* Only a limit on the agent itself has one bucket; one that is not in memory is full or unknown. */
    remaining:
      key.by === 'agent'
        ? tokens.find(({ rule, isKnown }) => isKnown && rule === name)?.remaining
        : undefined,
  }))
}
