import type { BreakerGate } from './breaker-gate.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import type { LeaseHints, LeaseWaiter, Refusal } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Roster } from './roster.ts'
import type { StickySessions } from './sticky-sessions.ts'

/** How a caller comes to a connection, or to the reason why not: in one turn, and without an object per event. */
export class Leasing {
  readonly #owner: ConnectionOwner
  readonly #roster: Roster
  readonly #breaker: BreakerGate
  readonly #sessions: StickySessions | undefined
  readonly #onUnavailable: () => void

  /** `onUnavailable`: a caller found no connection at all. */
  constructor(
    owner: ConnectionOwner,
    roster: Roster,
    breaker: BreakerGate,
    sessions: StickySessions | undefined,
    onUnavailable: () => void,
  ) {
    this.#owner = owner
    this.#roster = roster
    this.#breaker = breaker
    this.#sessions = sessions
    this.#onUnavailable = onUnavailable
  }

  lease(hints: LeaseHints, now = this.#owner.clock.now()): LiveConnection | Refusal {
    const owner = this.#owner
    owner.now = now
    if (hints.pinnedTo !== 0) return this.#leasePinned(hints, now)
    if (!this.#breaker.wouldAdmit(now)) return 'breaker-open'
    const { sessionKey } = hints
    if (sessionKey !== undefined && this.#sessions !== undefined) {
      return this.#leaseSession(hints, sessionKey, this.#sessions, now)
    }
    const live = this.#withRoom(hints, this.#roster.pick(hints, owner))
    if (typeof live === 'string') return live
    return this.#breaker.admit(now) ? live.take(hints) : 'breaker-open'
  }

  /** Why a caller with no wishes would not get a connection now; undefined: it would. */
  refusal(): Refusal | undefined {
    const refusal = this.#roster.refusal()
    if (refusal === 'unavailable') this.#onUnavailable()
    return refusal
  }

  /** Whether a caller that was refused earlier than in this turn would not have to wait any more. */
  changedSince(waiter: LeaseWaiter): boolean {
    if (!this.#breaker.wouldAdmit(this.#owner.now)) return true
    if (waiter.pinnedTo === 0) return this.refusal() === undefined
    const live = this.#roster.find(waiter.pinnedTo)
    return live === undefined || (live.hasRoom && !live.isPaused)
  }

  #leasePinned(hints: LeaseHints, now: number): LiveConnection | Refusal {
    const connection = this.#roster.find(hints.pinnedTo)
    if (connection === undefined) return 'affinity-lost'
    if (!this.#breaker.wouldAdmit(now)) return 'breaker-open'
    if (connection.isPaused) return 'paused'
    const hold = hints.isBody === false ? undefined : connection.holdsBody(hints.correlationId)
    if (hold !== undefined) return hold
    if (!connection.hasRoom) return 'full'
    return this.#breaker.admit(now) ? connection.take(hints) : 'breaker-open'
  }

  #leaseSession(
    hints: LeaseHints,
    key: string,
    sessions: StickySessions,
    now: number,
  ): LiveConnection | Refusal {
    const wanted = sessions.wanted(key, hints.avoid, now, this.#roster)
    const live = this.#withRoom(hints, wanted ?? this.#roster.pick(hints, this.#owner))
    if (typeof live === 'string') return live
    if (!this.#breaker.admit(now)) return 'breaker-open'
    if (wanted === undefined) sessions.settle(key, live, now)
    return live.take(hints)
  }

  /** The picked connection, or for a body chunk that it holds back another one. */
  #withRoom(hints: LeaseHints, picked: LiveConnection | undefined): LiveConnection | Refusal {
    if (picked === undefined) return this.refusal() ?? 'full'
    if (hints.isBody !== true || picked.holdsBody(hints.correlationId) === undefined) return picked
    return this.#roster.pickForBody(hints)
  }
}
