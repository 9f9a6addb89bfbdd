import type { Connection } from '../transport/connection.ts'
import type { LeaseHints, LeaseOutcome } from './lease.ts'

/** One connection as its pool keeps it: the link and the facts that decide whether it may be picked. */
export interface PooledConnection {
  /** The connection's id; pins name it. Never 0. */
  readonly id: number
  readonly connection: Connection
  /** Leased and not yet released. */
  readonly inFlight: number
  /** Factor on deadlines that the agent asked for while degraded, 1 to 10. */
  readonly timeoutMultiplier: number
  /**
   * Room for a piece of a body whose earlier pieces are here and were not answered yet, in nobody's stead: false
   * while callers wait, or the agent has paused the connection or this body, or its breaker is not closed: each event
   * of a half-open breaker is a probe, and the few there are belong to requests.
   */
  takesAhead(correlationId: string): boolean
  /**
   * A request has events here and may have more: a connection that leaves waits for it, up to its deadline. Each
   * `pin` is ended by one `unpin`.
   */
  pin(): void
  unpin(correlationId: string): void
  /**
   * Ends one lease. Called exactly once per lease. `latencyMs` only counts with `replied`. `lease`: what it was leased
   * with; may be left out when that was no body chunk. `heldMs`: since the lease, which tells what its end is evidence
   * for; absent: `latencyMs`. A piece of a body that was sent ahead is held for longer than the agent worked on it. `now`:
   * clock milliseconds, of callers that have just looked.
   */
  release(outcome: LeaseOutcome, latencyMs: number, lease?: LeaseHints, heldMs?: number, now?: number): void
}
