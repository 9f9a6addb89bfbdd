import type { Random } from '../core/random.ts'

/**
 * What a picker sees of a connection. Live view: the pool changes the fields, pickers only read them. A picker
 * must never return a candidate whose `isAvailable` is false.
 */
export interface Candidate {
  readonly id: number
  /** Ready, open, healthy, writable and not full: one fact, computed in one getter by the pool. */
  readonly isAvailable: boolean
  readonly inFlight: number
  /** Share of traffic this connection should get, 0 (exclusive) to 1: health score x slow start. */
  readonly weight: number
  /** Peak-sensitive moving average of reply latency, milliseconds; 0 before the first reply. */
  readonly latencyMs: number
}

export interface PickContext {
  /** Key for `ring-hash`; other strategies ignore it. */
  readonly hashKey: string | undefined
  /** Candidate not to return when there is another; 0: none. */
  readonly avoid: number
}

/**
 * The fast side of a strategy: a synchronous choice among the candidates it was built for. Never awaits, never
 * allocates an array, and its cost does not grow with the number of agents.
 */
export interface Picker {
  /** The chosen candidate's index in the list the picker was built with, or -1 when none is available. */
  pick(context: PickContext): number
}

/** The slow side: builds a picker whenever the set of candidates changes. One file per strategy. */
export interface Strategy {
  readonly name: StrategyName
  /**
   * What a weight below 1 lessens: how often a candidate is chosen, or the load up to which it is chosen. A chosen one
   * may be given several events in a row only where it is the former: the latter is known for one event at a time.
   */
  readonly weighs: 'turns' | 'load'
  build(candidates: readonly Candidate[], random: Random): Picker
}

export const STRATEGY_NAMES = [
  'round-robin',
  'least-in-flight',
  'health-based',
  'random',
  'p2c',
  'ring-hash',
] as const
export type StrategyName = (typeof STRATEGY_NAMES)[number]
