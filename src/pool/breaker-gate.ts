import type { Probe } from '../core/probe.ts'
import type { Random } from '../core/random.ts'
import { Breaker, type BreakerOptions, type BreakerState, REFUSED } from '../policy/breaker/breaker.ts'
import type { LeaseOutcome } from './lease.ts'

/** Losses within this time, milliseconds, are one event: an agent that restarts drops all its connections. */
const ONE_LOSS_MS = 1000
/** A ticket no period has: what is settled with it is ignored. */
const STALE = -1

/** The breaker of one agent, fed by how leases ended, watched by the probe. */
export class BreakerGate {
  readonly #agent: string
  readonly #breaker: Breaker
  readonly #probe: Probe
  #ticket: number
  /**
   * Leases from before this instant say nothing about the present period, clock milliseconds. Half-open counts
   * from the opening: nothing was admitted in between, and callers read the clock a little before they lease.
   */
  #since = Number.NEGATIVE_INFINITY
  #lostAt = Number.NEGATIVE_INFINITY

  constructor(agent: string, options: BreakerOptions, random: Random, probe: Probe) {
    this.#agent = agent
    this.#breaker = new Breaker(random, options)
    this.#probe = probe
    this.#ticket = this.#breaker.ticket
  }

  state(now: number): BreakerState {
    const state = this.#breaker.state(now)
    this.#note(now)
    return state
  }

  /** Milliseconds until an open breaker tries the agent again; 0 when it is not open. */
  retryAfterMs(now: number): number {
    return this.#breaker.retryAfterMs(now)
  }

  /** The agent is left alone, and signs of life are worth looking for. */
  get isOpen(): boolean {
    return this.#breaker.isOpen
  }

  /** Everything is let through. */
  get isClosed(): boolean {
    return this.#breaker.isClosed
  }

  /** The agent may be back: a fresh connection, a pong, a late reply. */
  signOfLife(now: number): void {
    if (!this.#breaker.isOpen) return
    this.#breaker.signOfLife(now)
    this.state(now)
  }

  wouldAdmit(now: number): boolean {
    return this.#breaker.wouldAdmit(now)
  }

  /** False: the lease must not happen. True: it must be settled. */
  admit(now: number): boolean {
    const ticket = this.#breaker.admit(now)
    if (ticket !== this.#ticket) this.#note(now)
    return ticket !== REFUSED
  }

  /**
   * Settles one lease. `elapsedMs` tells whether it began in the present period; one that did not says nothing
   * about it.
   */
  settle(outcome: LeaseOutcome, elapsedMs: number, now: number): void {
    const breaker = this.#breaker
    const ticket = now - elapsedMs < this.#since ? STALE : breaker.ticket
    switch (outcome) {
      case 'replied':
        breaker.succeeded(ticket, now)
        break
      case 'timeout':
      case 'bad-reply':
        breaker.failed(ticket, now)
        break
      case 'lost':
        if (now - this.#lostAt < ONE_LOSS_MS) breaker.withdrawn(ticket, now)
        else {
          this.#lostAt = now
          breaker.failed(ticket, now)
        }
        break
      case 'not-sent':
      case 'cancelled':
        breaker.withdrawn(ticket, now)
        break
    }
    if (breaker.ticket !== this.#ticket) this.#note(now)
  }

  #note(now: number): void {
    if (this.#breaker.ticket === this.#ticket) return
    this.#ticket = this.#breaker.ticket
    const state = this.#breaker.state(now)
    if (state !== 'half-open') this.#since = now
    this.#probe.breakerChanged?.(this.#agent, state)
  }
}
