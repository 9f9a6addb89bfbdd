import type { Clock, TimerHandle } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'

/** What a farewell needs of the connection that leaves. */
export interface Leaving {
  readonly agent: string
  readonly inFlight: number
  /** Requests that may still have events for it. */
  readonly pins: number
  /** Flushes and ends both directions; may take as long as the peer does. */
  close(): Promise<void>
  destroy(reason: WeirError): void
}

/**
 * The last stretch of one connection: it finishes what is in flight, stays for the requests that are pinned to it and,
 * for callers that do not pin, until it was idle for `lingerMs`, then closes. At the deadline it is destroyed, whatever it
 * still carries.
 */
export class Farewell {
  readonly done: Promise<void>
  readonly #clock: Clock
  readonly #leaving: Leaving
  #lingerMs: number
  #deadlineAt: number
  #deadline: TimerHandle | undefined
  #linger: TimerHandle | undefined
  #isClosing = false
  #resolve: () => void = () => undefined

  constructor(clock: Clock, leaving: Leaving, deadlineAt: number, lingerMs: number) {
    this.#clock = clock
    this.#leaving = leaving
    this.#lingerMs = lingerMs
    this.#deadlineAt = deadlineAt
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#armDeadline()
    this.onIdle()
  }

  /** Tightens the bounds; they never widen. */
  hasten(deadlineAt: number, lingerMs: number): void {
    if (deadlineAt < this.#deadlineAt) {
      this.#deadlineAt = deadlineAt
      this.#armDeadline()
    }
    if (lingerMs >= this.#lingerMs) return
    this.#lingerMs = lingerMs
    this.onIdle()
  }

  /** A lease or a pin ended; closes when it was the last of both. */
  onIdle(): void {
    if (this.#isClosing || this.#isBusy) return
    this.#linger?.cancel()
    if (this.#lingerMs <= 0) {
      this.#close()
      return
    }
    this.#linger = this.#clock.setTimer(this.#lingerMs, () => {
      if (!this.#isBusy) this.#close()
    })
  }

  /** The connection is gone, for whatever reason. */
  onGone(): void {
    this.#linger?.cancel()
    if (!this.#isClosing) this.#finish()
  }

  get #isBusy(): boolean {
    return this.#leaving.inFlight > 0 || this.#leaving.pins > 0
  }

  #close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#linger?.cancel()
    const finish = (): void => this.#finish()
    this.#leaving.close().then(finish, finish)
  }

  #armDeadline(): void {
    this.#deadline?.cancel()
    this.#deadline = this.#clock.setTimer(Math.max(0, this.#deadlineAt - this.#clock.now()), () => {
      this.#isClosing = true
      const message = `agent ${this.#leaving.agent}: drain ended before the reply came`
      this.#leaving.destroy(new WeirError('DRAINING', message))
      this.#finish()
    })
  }

  #finish(): void {
    this.#isClosing = true
    this.#deadline?.cancel()
    this.#linger?.cancel()
    this.#resolve()
  }
}
