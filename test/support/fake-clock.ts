import type { Clock, TimerHandle } from '../../src/core/clock.ts'

interface Pending {
  readonly at: number
  readonly order: number
  readonly callback: () => void
}

/** A clock that stands still until told to move; timers run in the order of their instants. */
export class FakeClock implements Clock {
  #now: number
  #wallOffset: number
  #order = 0
  readonly #timers = new Set<Pending>()

  constructor(now = 1000, wallMs = 1_700_000_000_000) {
    this.#now = now
    this.#wallOffset = wallMs - now
  }

  now(): number {
    return this.#now
  }

  wallMs(): number {
    return this.#now + this.#wallOffset
  }

  /** Steps the wall clock alone, as an operator or NTP does. */
  stepWall(byMs: number): void {
    this.#wallOffset += byMs
  }

  get timers(): number {
    return this.#timers.size
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  /** Lets time pass without running a timer, as a blocked event loop does; they run at the next `advance`. */
  stall(byMs: number): void {
    this.#now += byMs
  }

  /** Moves time on, running what falls due, timers set meanwhile included. */
  advance(byMs: number): void {
    const target = this.#now + byMs
    for (;;) {
      let next: Pending | undefined
      for (const timer of this.#timers) {
        if (timer.at > target) continue
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
          next = timer
      }
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.callback()
    }
    this.#now = target
  }
}
