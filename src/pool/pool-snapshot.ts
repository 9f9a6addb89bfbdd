import type { AgentLimits, HealthReport } from '../core/agent-messages.ts'
import type { BreakerState } from '../policy/breaker/breaker.ts'
import type { ConnectionHealth } from '../policy/health/health.ts'
import type { TransportName } from '../transport/connection.ts'
import type { LiveConnection } from './live-connection.ts'
import type { CounterSnapshot } from './pool-counters.ts'
import type { Stage } from './stage.ts'

export interface ConnectionSnapshot {
  readonly id: number
  readonly transport: TransportName
  readonly peer: string
  readonly home: string
  readonly stage: Stage
  readonly health: ConnectionHealth
  readonly isPaused: boolean
  readonly isWritable: boolean
  readonly isAvailable: boolean
  readonly inFlight: number
  readonly limit: number
  readonly requests: number
  readonly errors: number
  readonly timeouts: number
  /** Requests whose later events go here. */
  readonly pins: number
  readonly strays: number
  readonly latencyMs: number
  readonly weight: number
  /** Share of good outcomes among recent ones, 0 to 1. */
  readonly score: number
  /** Factor on deadlines that the agent asked for while degraded, before our bound. */
  readonly timeoutMultiplier: number
  /** Upper bound for the age of the oldest unanswered event; 0 without one. */
  readonly oldestUnansweredMs: number
  /** Bytes the agent last said it can take; Infinity when it never said. */
  readonly windowBytes: number
  /** Bytes of body chunks sent and not settled. */
  readonly bodyBytesInFlight: number
  readonly ageMs: number
  readonly agentName: string
  readonly agentVersion: string
  /** What the agent announced that it takes. */
  readonly limits: AgentLimits
  /** Whether a new configuration can be told while it runs. */
  readonly takesConfig: boolean
}

/** A pool at one moment; a copy that nobody has to wait for. Times in milliseconds, counters since the start. */
export interface PoolSnapshot extends CounterSnapshot {
  readonly agent: string
  readonly state: 'open' | 'draining'
  /** Connections to keep, or the most that may dial in. */
  readonly target: number
  /** Live connections, retiring ones included. */
  readonly active: number
  readonly available: number
  readonly healthy: number
  /** Some connection is healthy or degraded. */
  readonly isHealthy: boolean
  /** Requests bound to a connection, as the sum over connections. */
  readonly pins: number
  readonly paused: number
  readonly retiring: number
  /** Connections that have not taken their configuration yet and carry nothing. */
  readonly configuring: number
  readonly inFlight: number
  /** Bytes of body chunks sent and not settled. */
  readonly bodyBytesInFlight: number
  readonly waiting: number
  readonly breaker: BreakerState
  /** Until an open breaker tries the agent again; 0 when it is not open. */
  readonly breakerRetryMs: number
  readonly sessions: number
  /** Mean of the live connections' moving averages that have one. */
  readonly latencyMs: number
  /** What the agent last said of its health, on whichever connection; undefined: nothing yet. */
  readonly reported: { readonly report: HealthReport; readonly ageMs: number } | undefined
  readonly connections: readonly ConnectionSnapshot[]
}

export function connectionSnapshot(live: LiveConnection, now: number): ConnectionSnapshot {
  const { connection } = live
  return {
    id: live.id,
    transport: connection.transport,
    peer: connection.peer,
    home: live.home,
    stage: live.stage,
    health: live.health.state(now),
    isPaused: live.isPaused,
    isWritable: connection.isWritable,
    isAvailable: live.isAvailable,
    inFlight: live.inFlight,
    limit: live.limit,
    requests: live.uses,
    errors: live.errors,
    timeouts: live.timeouts,
    pins: live.pins,
    strays: live.strays,
    latencyMs: live.latencyMs,
    weight: live.weight,
    score: live.health.score(now),
    timeoutMultiplier: live.timeoutMultiplier,
    oldestUnansweredMs: live.oldestUnansweredMs(now),
    windowBytes: live.windowBytes,
    bodyBytesInFlight: live.bodyBytesInFlight,
    ageMs: now - live.openedAt,
    agentName: connection.capabilities.name,
    agentVersion: connection.capabilities.version,
    limits: connection.capabilities.limits,
    takesConfig: connection.transport !== 'v1' && connection.capabilities.features.configPush,
  }
}

type Sums = Pick<
  PoolSnapshot,
  | 'active'
  | 'available'
  | 'healthy'
  | 'isHealthy'
  | 'pins'
  | 'paused'
  | 'retiring'
  | 'configuring'
  | 'inFlight'
  | 'bodyBytesInFlight'
  | 'latencyMs'
>

/** The figures of a pool that are sums over its connections. */
export function summed(connections: readonly ConnectionSnapshot[]): Sums {
  let available = 0
  let healthy = 0
  let paused = 0
  let retiring = 0
  let configuring = 0
  let inFlight = 0
  let bodyBytesInFlight = 0
  let pins = 0
  let latencySum = 0
  let measured = 0
  for (const one of connections) {
    if (one.isAvailable) available++
    if (one.stage === 'ready' && (one.health === 'healthy' || one.health === 'degraded')) healthy++
    if (one.isPaused) paused++
    if (one.stage === 'retiring') retiring++
    if (one.stage === 'configuring') configuring++
    inFlight += one.inFlight
    bodyBytesInFlight += one.bodyBytesInFlight
    pins += one.pins
    if (one.latencyMs > 0) {
      latencySum += one.latencyMs
      measured++
    }
  }
  const latencyMs = measured === 0 ? 0 : latencySum / measured
  return {
    active: connections.length,
    available,
    healthy,
    isHealthy: healthy > 0,
    paused,
    retiring,
    configuring,
    inFlight,
    bodyBytesInFlight,
    pins,
    latencyMs,
  }
}
