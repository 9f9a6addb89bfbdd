import type { HealthReport } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import type { WeirError } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'
import type { FlowChange } from '../policy/flow-gate.ts'
import type { AgentReports } from './agent-reports.ts'
import type { BreakerGate } from './breaker-gate.ts'
import type { LeaseOutcome } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'
import type { PoolCounters } from './pool-counters.ts'
import type { Roster } from './roster.ts'
import type { WaitingRoom } from './waiting-room.ts'

/** What a {@link ConnectionOwner} needs of its pool. */
export interface OwnerHost {
  /** See {@link ConnectionOwner.onGone}. */
  onGone(live: LiveConnection, reason: WeirError, isLoss: boolean): void
  /** Something happened that a visit should look at soon. */
  onUrgent(): void
}

export interface OwnerParts {
  readonly agent: string
  readonly clock: Clock
  readonly probe: Probe
  readonly room: WaitingRoom
  readonly roster: Roster
  readonly counters: PoolCounters
  readonly breaker: BreakerGate
  readonly reports: AgentReports
}

/**
 * What connections tell the pool that keeps them, and what they share. Every event reads and writes it several times: it is
 * a class because V8 keeps the properties of an object literal with getters in a hash table.
 */
export class ConnectionOwner {
  readonly agent: string
  readonly clock: Clock
  /** The clock as it was when this turn began: read once per lease and once per release. */
  now: number
  /** Leases of all its connections, given out and not released. */
  inFlight = 0
  /** Connections in use whose last reply was slow or is yet to come: see `burst.ts`. */
  slow = 0
  /** The agent's; another one after a reload that changed its settings. Written by the pool alone. */
  breaker: BreakerGate
  readonly reports: AgentReports
  readonly #host: OwnerHost
  readonly #probe: Probe
  readonly #room: WaitingRoom
  readonly #roster: Roster
  readonly #counters: PoolCounters

  constructor(host: OwnerHost, parts: OwnerParts) {
    this.agent = parts.agent
    this.clock = parts.clock
    this.now = parts.clock.now()
    this.breaker = parts.breaker
    this.reports = parts.reports
    this.#host = host
    this.#probe = parts.probe
    this.#room = parts.room
    this.#roster = parts.roster
    this.#counters = parts.counters
  }

  /** Callers in the queue; 0 spares the hot path a call. */
  get waiting(): number {
    return this.#room.size
  }

  /** The agent's breaker lets everything through: neither open nor trying. */
  get isBreakerClosed(): boolean {
    return this.breaker.isClosed
  }

  /** Every release, after the connection's own books. */
  onReleased(live: LiveConnection, outcome: LeaseOutcome, elapsedMs: number): void {
    this.#counters.countRelease(outcome, this.now)
    if (outcome === 'replied') {
      this.breaker.settle(outcome, elapsedMs, this.now)
      return
    }
    this.breaker.settle(this.#evidence(live, outcome), elapsedMs, this.now)
    if (this.breaker.isOpen) this.#host.onUrgent()
  }

  /** The connection may take an event that it could not take before. */
  onRoom(live: LiveConnection): void {
    this.#room.serve(live)
  }

  /** Its own evidence put it out of use for a while. */
  onEjected(live: LiveConnection): void {
    this.#counters.ejections++
    this.#room.serve(live)
  }

  /** It carries nothing more. Once. `isLoss`: it had not been retired. */
  onGone(live: LiveConnection, reason: WeirError, isLoss: boolean): void {
    this.#host.onGone(live, reason, isLoss)
  }

  /** The agent says something else of itself than before. */
  onHealthChanged(live: LiveConnection, report: HealthReport): void {
    this.#host.onUrgent()
    this.reports.health(live, report)
  }

  /** Its peer announced its end: a successor is due. */
  onRetiring(): void {
    this.#host.onUrgent()
  }

  /** A flow signal of the agent changed something. */
  onFlowChanged(change: FlowChange): void {
    this.#counters.countFlow(change)
  }

  /** A ping was answered after a silence. */
  onPonged(): void {
    this.breaker.signOfLife(this.now)
  }

  onStrayReply(): void {
    this.#counters.strays++
    this.breaker.signOfLife(this.clock.now())
    this.#probe.strayReply?.(this.agent)
  }

  /**
   * What the end of a lease says of the agent as a whole. Failures of a connection that is ejected already are its own
   * while another one serves: what was in flight on one dead connection fails at once and would open the breaker.
   */
  #evidence(live: LiveConnection, outcome: LeaseOutcome): LeaseOutcome {
    const isFailure = outcome === 'timeout' || outcome === 'bad-reply'
    if (!isFailure || live.health.trialAt === undefined) return outcome
    return this.#roster.ready.some((other) => other !== live && other.isUsable) ? 'cancelled' : outcome
  }
}
