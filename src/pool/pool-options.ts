import type { BackoffOptions } from '../core/backoff.ts'
import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { Random } from '../core/random.ts'
import type { BreakerOptions } from '../policy/breaker/breaker.ts'
import type { HealthOptions } from '../policy/health/health-options.ts'
import type { StrategyName } from '../policy/picker.ts'
import type { SessionTableOptions } from '../policy/sessions/session-table.ts'
import type { PushCount } from './config-push.ts'
import type { SessionStore } from './session-store.ts'

/** What operators set per agent; every field optional. */
export interface PoolOptions {
  /** Connections to keep, or the most that may dial in. >= 1. Default 4. */
  readonly connections?: number
  /** How a connection is chosen. Default `round-robin`. */
  readonly strategy?: StrategyName
  /** Events at once per connection; the agent's own announcement may lower it. Default 100. */
  readonly maxConcurrentPerConnection?: number
  /**
   * Events of one tick (or turn, under load) that may follow each other onto one connection, whatever the strategy, and then leave in one
   * write; 1: the strategy chooses for each. Default 32.
   */
  readonly maxBurst?: number
  /** Callers that may wait for a lease. Default 1,000. */
  readonly maxWaiters?: number
  /** Pauses between dials that fail. Default 100 ms doubling to 2 s: an agent that is back serves within that. */
  readonly reconnect?: BackoffOptions
  /** A dial that has not ended by then is abandoned. Default 15,000: connect 5 s, configure 5 s, and slack. */
  readonly dialTimeoutMs?: number
  /** A connection that lived this long is redialled at once when it dies. Default 5,000. */
  readonly stableAfterMs?: number
  /** Age at which a connection is replaced. Default Infinity: never. */
  readonly maxConnectionAgeMs?: number
  /** Leases after which a connection is replaced. Default Infinity: never. */
  readonly maxConnectionUses?: number
  /** A retiring connection closes when no later event of its requests came for this long. Default 2,000. */
  readonly retireLingerMs?: number
  /** Longest stay of a retiring connection. Default 30,000. */
  readonly retireTimeoutMs?: number
  /** Milliseconds in which a new connection reaches its full share of traffic; 0: at once. Default 10,000. */
  readonly slowStartMs?: number
  /** A connection without a reply for this long is pinged; 0: never. Two pings missed end it. Default 10,000. */
  readonly heartbeatMs?: number
  /** Largest share of connections that may be ejected at once, 0 to 1. Default 0.5. */
  readonly maxEjectedShare?: number
  readonly health?: HealthOptions
  readonly breaker?: BreakerOptions
  /** Sticky sessions; `ring-hash` keeps none, its sessions follow from their keys. `maxSessions` 0: none are kept. */
  readonly sessions?: SessionTableOptions
}

/** The same with every default filled in. */
export type PoolSettings = Readonly<Required<PoolOptions>>

/** Age and use limits are shortened by up to this share at random, so that a pool does not retire as one. */
export const RETIRE_JITTER = 0.2

/** What a pool lives in. */
export interface PoolSurroundings {
  readonly clock: Clock
  readonly random: Random
  readonly probe: Probe
  /** Where sticky sessions outlive the process; absent: they do not. */
  readonly sessionStore?: SessionStore | undefined
  /** Shared by all pools of a process; absent: the pool counts for itself. */
  readonly pushCount?: PushCount | undefined
  /** An agent asked to have its configuration read anew. */
  readonly onReloadRequested?: ((agent: string) => void) | undefined
}

/**
 * A dial every one to two seconds and connection costs an absent agent's host nothing, and bounds the time that an
 * agent which is back is not used.
 */
const DEFAULT_MAX_PAUSE_MS = 2000

/* Shared by all agents that say nothing else. */
const DEFAULT_RECONNECT: BackoffOptions = Object.freeze({ maxMs: DEFAULT_MAX_PAUSE_MS })
const DEFAULTS = Object.freeze({})

/** Fills in the defaults. The values are the caller's to check. */
export function poolSettings(options: PoolOptions = {}): PoolSettings {
  return Object.freeze({
    connections: options.connections ?? 4,
    strategy: options.strategy ?? 'round-robin',
    maxConcurrentPerConnection: options.maxConcurrentPerConnection ?? 100,
    maxBurst: options.maxBurst ?? 32,
    maxWaiters: options.maxWaiters ?? 1000,
    reconnect:
      options.reconnect === undefined
        ? DEFAULT_RECONNECT
        : { maxMs: DEFAULT_MAX_PAUSE_MS, ...options.reconnect },
    dialTimeoutMs: options.dialTimeoutMs ?? 15_000,
    stableAfterMs: options.stableAfterMs ?? 5000,
    maxConnectionAgeMs: options.maxConnectionAgeMs ?? Number.POSITIVE_INFINITY,
    maxConnectionUses: options.maxConnectionUses ?? Number.POSITIVE_INFINITY,
    retireLingerMs: options.retireLingerMs ?? 2000,
    retireTimeoutMs: options.retireTimeoutMs ?? 30_000,
    slowStartMs: options.slowStartMs ?? 10_000,
    heartbeatMs: options.heartbeatMs ?? 10_000,
    maxEjectedShare: options.maxEjectedShare ?? 0.5,
    health: options.health ?? DEFAULTS,
    breaker: options.breaker ?? DEFAULTS,
    sessions: options.sessions ?? DEFAULTS,
  })
}
