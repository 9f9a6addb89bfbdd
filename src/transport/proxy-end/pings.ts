import type { Clock, TimerHandle } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'

interface OutstandingPing {
  readonly sentAt: number
  readonly timer: TimerHandle
  readonly settle: (roundTripMs: number) => void
  readonly fail: (error: WeirError) => void
}

/** The pings of one connection that wait for their pongs. A pong of another sequence answers none of them. */
export class Pings {
  readonly #clock: Clock
  readonly #outstanding = new Map<number, OutstandingPing>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Pings that wait for their pongs. */
  get size(): number {
    return this.#outstanding.size
  }

  /**
   * Calls `write` with `sequence`, which no earlier ping of the connection had, and resolves with the round trip, milliseconds. Rejects with
   * TIMEOUT, or with whatever `write` throws.
   */
  send(
    sequence: number,
    timeoutMs: number,
    peer: string,
    write: (sequence: number) => void,
  ): Promise<number> {
    return new Promise((settle, fail) => {
      write(sequence)
      const timer = this.#clock.setTimer(timeoutMs, () => {
        this.#outstanding.delete(sequence)
        fail(new WeirError('TIMEOUT', `${peer} did not answer a ping within ${timeoutMs} ms`))
      })
      this.#outstanding.set(sequence, { sentAt: this.#clock.now(), timer, settle, fail })
    })
  }

  onPong(sequence: number): void {
    const ping = this.#outstanding.get(sequence)
    if (ping === undefined) return
    this.#outstanding.delete(sequence)
    ping.timer.cancel()
    ping.settle(this.#clock.now() - ping.sentAt)
  }

  failAll(error: WeirError): void {
    for (const ping of this.#outstanding.values()) {
      ping.timer.cancel()
      ping.fail(error)
    }
    this.#outstanding.clear()
  }
}
