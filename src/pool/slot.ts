import { Backoff, type BackoffOptions } from '../core/backoff.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import type { Connection, Dialer } from '../transport/connection.ts'

/** What a slot needs from its keeper. */
export interface SlotHost {
  readonly clock: Clock
  readonly random: Random
  readonly backoff: BackoffOptions
  /** Milliseconds after which a dial is given up although its dialer has not answered. */
  readonly dialTimeoutMs: number
  /** A connection that lived this long, milliseconds, proves the endpoint: its loss is redialled at once. */
  readonly stableAfterMs: number
  /** The dialer of the next attempt; may look up names first. */
  nextDialer(slot: Slot): Dialer | Promise<Dialer>
  onDialed(slot: Slot, connection: Connection): void
  onDialFailed(endpoint: string, error: WeirError, retryInMs: number): void
}

type SlotState =
  | { readonly is: 'stopped' }
  | { readonly is: 'dialing'; readonly attempt: AbortController; readonly watchdog: TimerHandle }
  | { readonly is: 'waiting'; readonly timer: TimerHandle }
  /** `since`: clock milliseconds. */
  | { readonly is: 'filled'; readonly since: number }

const STOPPED: SlotState = { is: 'stopped' }

/**
 * One place of a pool: dials until it is filled, again when its connection is lost, and never gives up. The
 * first redial after a proven connection is immediate; everything else waits by exponential backoff. Slots do
 * not wait for each other.
 */
export class Slot {
  readonly #host: SlotHost
  readonly #backoff: Backoff
  #state: SlotState = STOPPED
  #mayRedialAtOnce = true

  constructor(host: SlotHost) {
    this.#host = host
    this.#backoff = new Backoff(host.random, host.backoff)
  }

  get state(): SlotState['is'] {
    return this.#state.is
  }

  /** Starts dialling now, also out of a backoff pause. A slot that dials or is filled is left alone. */
  dial(): void {
    const state = this.#state
    if (state.is === 'dialing' || state.is === 'filled') return
    if (state.is === 'waiting') state.timer.cancel()
    const attempt = new AbortController()
    const watchdog = this.#host.clock.setTimer(this.#host.dialTimeoutMs, () => {
      const error = new WeirError('TIMEOUT', `no connection after ${this.#host.dialTimeoutMs} ms`, {
        sent: false,
      })
      this.#fail(attempt, '', error)
      attempt.abort(error)
    })
    this.#state = { is: 'dialing', attempt, watchdog }
    void this.#run(attempt)
  }

  /** The connection of this slot is gone. */
  lost(): void {
    const state = this.#state
    if (state.is !== 'filled') return
    this.#state = STOPPED
    if (this.#host.clock.now() - state.since >= this.#host.stableAfterMs) {
      this.#backoff.reset()
      this.#mayRedialAtOnce = true
    }
    if (this.#mayRedialAtOnce) {
      this.#mayRedialAtOnce = false
      this.dial()
    } else this.#pause(this.#backoff.next())
  }

  /** Ends dialling and pausing; a connection that arrives late is dropped. */
  stop(): void {
    const state = this.#state
    this.#state = STOPPED
    if (state.is === 'waiting') state.timer.cancel()
    if (state.is !== 'dialing') return
    state.watchdog.cancel()
    state.attempt.abort(new WeirError('CANCELLED', 'the pool stopped dialling', { sent: false }))
  }

  async #run(attempt: AbortController): Promise<void> {
    let dialer: Dialer | undefined
    let connection: Connection
    try {
      dialer = await this.#host.nextDialer(this)
      attempt.signal.throwIfAborted()
      connection = await dialer.dial(attempt.signal)
    } catch (error) {
      this.#fail(attempt, dialer?.endpoint ?? '', WeirError.from(error, 'UNAVAILABLE'))
      return
    }
    this.#arrived(attempt, connection, dialer)
  }

  #arrived(attempt: AbortController, connection: Connection, dialer: Dialer): void {
    const state = this.#state
    if (state.is !== 'dialing' || state.attempt !== attempt) {
      connection.destroy(new WeirError('CANCELLED', 'the connection came too late', { sent: false }))
      return
    }
    if (connection.isClosed) {
      const error = new WeirError('UNAVAILABLE', 'the connection closed as it was made', { sent: false })
      this.#fail(attempt, dialer.endpoint, error)
      return
    }
    state.watchdog.cancel()
    this.#state = { is: 'filled', since: this.#host.clock.now() }
    this.#host.onDialed(this, connection)
  }

  #fail(attempt: AbortController, endpoint: string, error: WeirError): void {
    const state = this.#state
    if (state.is !== 'dialing' || state.attempt !== attempt) return
    state.watchdog.cancel()
    const retryInMs = this.#backoff.next()
    this.#pause(retryInMs)
    this.#host.onDialFailed(endpoint, error, retryInMs)
  }

  #pause(delayMs: number): void {
    this.#mayRedialAtOnce = false
    this.#state = { is: 'waiting', timer: this.#host.clock.setTimer(delayMs, () => this.dial()) }
  }
}
