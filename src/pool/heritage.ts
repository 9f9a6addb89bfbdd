import { AgentMetrics } from './agent-metrics.ts'
import { BreakerGate } from './breaker-gate.ts'
import { PoolCounters } from './pool-counters.ts'
import type { PoolSettings, PoolSurroundings } from './pool-options.ts'
import { StickySessions } from './sticky-sessions.ts'

/** What a pool hands on to the one that takes its place, so that a reload forgets nothing. */
export interface Heritage {
  readonly settings: PoolSettings
  readonly metrics: AgentMetrics
  readonly breaker: BreakerGate
  readonly counters: PoolCounters
  /** Undefined with `ring-hash`, whose sessions follow from their keys, and where none are to be kept. */
  readonly sessions: StickySessions | undefined
}

/** The heritage of a new pool: its predecessor's, but for parts whose own settings changed. */
export function heritageOf(
  agent: string,
  settings: PoolSettings,
  around: PoolSurroundings,
  old: Heritage | undefined,
): Heritage {
  const { random, probe } = around
  return {
    settings,
    metrics: old?.metrics ?? new AgentMetrics(agent),
    breaker:
      old !== undefined && isSame(old.settings.breaker, settings.breaker)
        ? old.breaker
        : new BreakerGate(agent, settings.breaker, random, probe),
    counters: old?.counters ?? new PoolCounters(),
    sessions: sessionsOf(agent, settings, around, old),
  }
}

function sessionsOf(
  agent: string,
  settings: PoolSettings,
  { clock, probe, sessionStore }: PoolSurroundings,
  old: Heritage | undefined,
): StickySessions | undefined {
  if (settings.strategy === 'ring-hash' || settings.sessions.maxSessions === 0) return undefined
  if (old?.sessions !== undefined && isSame(old.settings.sessions, settings.sessions)) return old.sessions
  return new StickySessions(agent, settings.sessions, sessionStore, clock, probe, old?.sessions)
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
