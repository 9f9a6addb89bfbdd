import type { HealthReport } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import type { WeirError } from '../core/errors.ts'
import type { FlowChange } from '../policy/flow-gate.ts'
import type { AgentReports } from './agent-reports.ts'
import type { LeaseOutcome } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'

/** What a connection tells the pool that keeps it. */
export interface ConnectionOwner {
  readonly agent: string
  readonly clock: Clock
  /** The clock as it was when this turn began: read once per lease and once per release. */
  now: number
  /** Leases of all its connections, given out and not released. */
  inFlight: number
  /** Connections in use whose last reply was slow or is yet to come: see `burst.ts`. */
  slow: number
  /** Callers in the queue; 0 spares the hot path a call. */
  readonly waiting: number
  /** The agent's breaker lets everything through: neither open nor trying. */
  readonly isBreakerClosed: boolean
  readonly reports: AgentReports
  /** Every release, after the connection's own books. */
  onReleased(connection: LiveConnection, outcome: LeaseOutcome, latencyMs: number): void
  /** The connection may take an event that it could not take before. */
  onRoom(connection: LiveConnection): void
  /** Its own evidence put it out of use for a while. */
  onEjected(connection: LiveConnection): void
  /** It carries nothing more. Once. */
  onGone(connection: LiveConnection, reason: WeirError): void
  /** The agent says something else of itself than before. */
  onHealthChanged(connection: LiveConnection, report: HealthReport): void
  /** A flow signal of the agent changed something. */
  onFlowChanged(change: FlowChange): void
  onStrayReply(connection: LiveConnection): void
  /** A ping was answered after a silence. */
  onPonged(connection: LiveConnection): void
}
