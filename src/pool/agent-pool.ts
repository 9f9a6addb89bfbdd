import type { WeirError } from '../core/errors.ts'
import type { BypassReason } from '../core/probe.ts'
import type { LeaseHints, LeaseWaiter, Refusal } from './lease.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** The connections of one agent, as the pipeline uses them. */
export interface AgentPool {
  readonly agent: string
  /**
   * Bytes of one body that the agent says it takes: the least of its ready connections, or of those that were last.
   * Infinity: it said nothing.
   */
  readonly maxBodyBytes: number
  /**
   * Picks a connection and leases it, in this turn, without I/O. A pinned request gets its own connection or
   * `affinity-lost`, never another one. `now`: clock milliseconds, of callers that have just looked.
   */
  lease(hints: LeaseHints, now?: number): PooledConnection | Refusal
  /**
   * Queues a caller that `lease` refused with `full` or `paused`. FIFO; woken by a release, a resume, a new
   * connection. Returns an OVERLOADED error when the queue is full, undefined when queued.
   */
  wait(waiter: LeaseWaiter): WeirError | undefined
  /** Takes a waiter out of the queue; no callback follows. */
  withdraw(waiter: LeaseWaiter): void
  /** An event went on without this agent. Called by whoever lets it. */
  countBypass(reason: BypassReason): void
  /** The connection with this id, when it is still alive: cancels go there. */
  find(connectionId: number): PooledConnection | undefined
  /** No new leases; waits for those out, closes. Twice: the same promise. Resolves by `deadlineAt` (clock ms). */
  drain(deadlineAt: number): Promise<void>
}
