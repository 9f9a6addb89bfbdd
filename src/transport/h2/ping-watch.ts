import type { Clock, TimerHandle } from '../../core/clock.ts'
import { type Http2Connection, lost } from './connection.ts'

export interface PingTimes {
  /** Milliseconds from one answer to the next ping. */
  readonly intervalMs: number
  /** Milliseconds that a peer has to answer. */
  readonly timeoutMs: number
}

/** Finds a dead peer without traffic: one that leaves a ping unanswered is given up. */
export class PingWatch {
  readonly #connection: Http2Connection
  readonly #times: PingTimes
  readonly #clock: Clock
  #timer: TimerHandle

  constructor(connection: Http2Connection, times: PingTimes, clock: Clock) {
    this.#connection = connection
    this.#times = times
    this.#clock = clock
    this.#timer = clock.setTimer(times.intervalMs, this.#ping)
  }

  stop(): void {
    this.#timer.cancel()
  }

  readonly #ping = (): void => {
    const { timeoutMs } = this.#times
    this.#timer = this.#clock.setTimer(timeoutMs, () => {
      const { peer } = this.#connection
      this.#connection.fail(lost(peer, `no answer to an HTTP/2 ping within ${timeoutMs} ms`))
    })
    this.#connection.onPong = this.#onPong
    this.#connection.ping()
  }

  readonly #onPong = (): void => {
    this.#connection.onPong = undefined
    this.#timer.cancel()
    this.#timer = this.#clock.setTimer(this.#times.intervalMs, this.#ping)
  }
}
