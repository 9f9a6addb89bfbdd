import type { WeirError } from '../core/errors.ts'
import type { Connection } from '../transport/connection.ts'
import type { AgentMetrics } from './agent-metrics.ts'
import type { AgentPool } from './agent-pool.ts'
import type { ConfigPush } from './config-push.ts'
import type { PoolSettings } from './pool-options.ts'
import type { PoolSnapshot } from './pool-snapshot.ts'
import type { StickySessions } from './sticky-sessions.ts'

/** The configuration of an agent as it is told to it. */
export interface AgentConfig {
  /** Any JSON value; undefined: none is sent. */
  readonly config: unknown
  readonly version: string | undefined
}

/** Which run of which instance an agent that dials in says it is. */
export interface Incarnation {
  readonly instance: string
  /** Grows with every run of the instance. */
  readonly epoch: number
}

/** Looks at the pool of this agent again, soon: something in it may not wait for the instant it named before. */
export type Summon = (agent: string) => void

/** A pool as the registry and operators see it. */
export interface ManagedPool extends AgentPool {
  /** Series that the agent reports of itself. */
  readonly metrics: AgentMetrics
  /** Sticky sessions, to be listed and ended; undefined where none are kept. */
  readonly sessions: StickySessions | undefined
  /** Resolves with the first connection, or with the drain. */
  readonly whenReady: Promise<void>
  /** Reads stored sessions, then starts dialling; without a dialer the pool waits for its agent. */
  start(): void
  /** Why a connection that dials in now would not be taken; undefined: it would be. */
  canAdopt(incarnation?: Incarnation): WeirError | undefined
  /** Takes a connection that an agent made. The error, if any, is that of {@link canAdopt}; it is left open. */
  adopt(connection: Connection, incarnation?: Incarnation): WeirError | undefined
  /** Changes the number of connections to keep. */
  resize(connections: number): void
  /**
   * Puts other settings in force and keeps every connection, for an agent that dials in: nobody but the agent could make
   * another one. The number of connections is {@link resize}'s.
   * @throws WeirError CONFLICT when we dial the agent: that takes a new pool
   */
  retune(settings: PoolSettings): void
  /** Tells the agent its new configuration, on every connection; later connections are made with it. */
  pushConfig(config: unknown, version?: string): ConfigPush
  /** Latest pushes, oldest first. */
  readonly configPushes: readonly ConfigPush[]
  /** Instant of the next {@link visit}, clock milliseconds; Infinity: none is needed as things are. */
  readonly visitAt: number
  /** `summon` is called whenever {@link visitAt} may have come nearer, so nobody needs to ask idle pools. */
  watch(summon: Summon): void
  /** Heartbeats, retirement, sweeps: whatever time alone brings about. Called by one shared timer. */
  visit(now: number): void
  /** A copy of the present state; never waits. */
  snapshot(): PoolSnapshot
}
