import { Backoff } from '../../core/backoff.ts'
import type { Random } from '../../core/random.ts'
import { FailureWindow } from './failure-window.ts'

export interface BreakerOptions {
  /** Failures in a row that open the breaker. Default 5. */
  readonly consecutiveFailures?: number
  /** Share of failures over the window that opens it, 0 (exclusive) to 1. Default 0.5. */
  readonly failureShare?: number
  /** Outcomes in the window below which the share says nothing. Default 20. */
  readonly minimumVolume?: number
  /** Milliseconds. Default 10,000. */
  readonly windowMs?: number
  /** Longest first pause, milliseconds; actual pauses are jittered down to half. Default 5000. */
  readonly openMs?: number
  /** Ceiling of the growing pause, milliseconds. Default 60,000. */
  readonly maxOpenMs?: number
  /**
   * Least pause, milliseconds, of an agent that shows signs of life; doubles with every opening until the breaker stayed
   * closed for twice `openMs`. Default 500; `openMs` or more: signs of life change nothing.
   */
  readonly leastOpenMs?: number
  /** Probes out at once while half-open. Default 2. */
  readonly probes?: number
  /** Probes in a row that must succeed to close it. May exceed `probes`. Default 2. */
  readonly probeSuccesses?: number
  /** Milliseconds after which a probe that was never settled gives its place back. Default 30,000. */
  readonly probeTimeoutMs?: number
}

/** By then the least pause is longer than any other. */
const MAX_DOUBLINGS = 20

export type BreakerState = 'closed' | 'open' | 'half-open'

/** Names the period in which an event was admitted. {@link REFUSED} means that it was not. */
export type BreakerTicket = number
export const REFUSED: BreakerTicket = 0

/**
 * Circuit breaker of one agent.
 *
 *     closed --5 failures in a row, or half of >= 20 in 10 s--> open --pause--> half-open
 *     half-open --2 probes succeed--> closed         half-open --a probe fails--> open, longer pause
 *
 * A sign of life (a fresh connection, a pong, a late reply) ends the pause early, not before `leastOpenMs`. That least
 * pause doubles with every opening, so an agent that shows life and goes on failing gains a few trials at the start of
 * its outage and none later.
 *
 * Every admitted event is settled once, by `succeeded`, `failed` or `withdrawn`, with the ticket it was admitted
 * with. A settlement from an earlier period says nothing about the present one and is ignored: events that time
 * out long after the breaker opened do not reopen it.
 *
 * Half-open always ends. A withdrawn probe gives its place back, a settled one too, and when no place is left and
 * nobody settled for `probeTimeoutMs`, all places are given back and the lost probes' tickets become void.
 */
export class Breaker {
  readonly #consecutiveFailures: number
  readonly #failureShare: number
  readonly #minimumVolume: number
  readonly #openMs: number
  readonly #leastOpenMs: number
  readonly #probes: number
  readonly #probeSuccesses: number
  readonly #probeTimeoutMs: number
  readonly #window: FailureWindow
  readonly #pauses: Backoff

  #state: BreakerState = 'closed'
  /** Grows with every change of state. */
  #ticket: BreakerTicket = 1
  #failuresInRow = 0
  #openUntil = 0
  /** When a sign of life may end the present pause. */
  #leastUntil = 0
  /** Openings since the breaker last stayed closed. */
  #openings = 0
  #closedAt = Number.NEGATIVE_INFINITY
  #probesOut = 0
  #probesSucceeded = 0
  /** When a probe was last admitted or settled. */
  #probedAt = 0

  constructor(random: Random, options: BreakerOptions = {}) {
    const openMs = options.openMs ?? 5000
    this.#openMs = openMs
    this.#leastOpenMs = options.leastOpenMs ?? 500
    this.#consecutiveFailures = options.consecutiveFailures ?? 5
    this.#failureShare = options.failureShare ?? 0.5
    this.#minimumVolume = options.minimumVolume ?? 20
    this.#probes = Math.max(1, options.probes ?? 2)
    this.#probeSuccesses = Math.max(1, options.probeSuccesses ?? 2)
    this.#probeTimeoutMs = options.probeTimeoutMs ?? 30_000
    this.#window = new FailureWindow(options.windowMs ?? 10_000)
    this.#pauses = new Backoff(random, {
      initialMs: openMs,
      maxMs: Math.max(openMs, options.maxOpenMs ?? 60_000),
    })
  }

  /** Ticket of the present period, for callers that cannot keep one per event. */
  get ticket(): BreakerTicket {
    return this.#ticket
  }

  state(now: number): BreakerState {
    if (this.#state === 'open' && now >= this.#openUntil) this.#enter('half-open', now)
    return this.#state
  }

  /** It lets everything through. */
  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Milliseconds until an event may be admitted again; 0 when it may be now (or as soon as a probe ends). */
  retryAfterMs(now: number): number {
    return this.state(now) === 'open' ? this.#openUntil - now : 0
  }

  /** Whether `admit` would let an event pass. Takes no place. */
  wouldAdmit(now: number): boolean {
    switch (this.state(now)) {
      case 'closed':
        return true
      case 'open':
        return false
      case 'half-open':
        return this.#probesOut < this.#probes || now - this.#probedAt >= this.#probeTimeoutMs
    }
  }

  /** Lets an event pass and returns its ticket, or {@link REFUSED}. An admitted event must be settled once. */
  admit(now: number): BreakerTicket {
    if (this.#state === 'closed') return this.#ticket
    if (!this.wouldAdmit(now)) return REFUSED
    if (this.#probesOut >= this.#probes) this.#enter('half-open', now)
    this.#probesOut++
    this.#probedAt = now
    return this.#ticket
  }

  /** The agent answered. */
  succeeded(ticket: BreakerTicket, now: number): void {
    const state = this.state(now)
    if (ticket !== this.#ticket) return
    this.#failuresInRow = 0
    if (state === 'closed') this.#window.count(false, now)
    if (state !== 'half-open') return
    this.#giveBack(now)
    if (++this.#probesSucceeded >= this.#probeSuccesses) this.#close(now)
  }

  /** The agent failed: no answer in time, an unusable one, or the connection broke under it. */
  failed(ticket: BreakerTicket, now: number): void {
    const state = this.state(now)
    if (ticket !== this.#ticket || state === 'open') return
    this.#failuresInRow++
    this.#window.count(true, now)
    if (state === 'half-open' || this.#isTripped(now)) this.#open(now)
  }

  /** Nothing was learned: cancelled by the caller, or never sent. */
  withdrawn(ticket: BreakerTicket, now: number): void {
    if (ticket === this.#ticket && this.#state === 'half-open') this.#giveBack(now)
  }

  /** Refuses events, whatever the time: its pause may be over, and nobody looked since. */
  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** The agent may be back: its pause ends as soon as the least one is over. */
  signOfLife(now: number): void {
    if (this.#state === 'open') this.#openUntil = Math.min(this.#openUntil, Math.max(now, this.#leastUntil))
  }

  /** Closes it by hand and forgets the past. */
  reset(now: number): void {
    this.#close(now)
  }

  #isTripped(now: number): boolean {
    if (this.#failuresInRow >= this.#consecutiveFailures) return true
    return (
      this.#window.volume(now) >= this.#minimumVolume && this.#window.failureShare(now) >= this.#failureShare
    )
  }

  #giveBack(now: number): void {
    if (this.#probesOut > 0) this.#probesOut--
    this.#probedAt = now
  }

  #open(now: number): void {
    if (this.#state === 'closed' && now - this.#closedAt >= 2 * this.#openMs) this.#openings = 0
    this.#openUntil = now + this.#pauses.next()
    this.#leastUntil = now + this.#leastOpenMs * 2 ** Math.min(this.#openings++, MAX_DOUBLINGS)
    this.#enter('open', now)
  }

  #close(now: number): void {
    this.#pauses.reset()
    this.#closedAt = now
    this.#enter('closed', now)
  }

  #enter(state: BreakerState, now: number): void {
    this.#state = state
    this.#ticket++
    this.#failuresInRow = 0
    this.#probesOut = 0
    this.#probesSucceeded = 0
    this.#probedAt = now
    this.#window.clear()
  }
}
