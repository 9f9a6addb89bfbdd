import { type Clock, systemClock, type TimerHandle } from '../../src/core/clock.ts'

/** The real clock, which knows the timers that are set: they are unreferenced, so the process cannot list them. */
export class CountingClock implements Clock {
  readonly #live = new Set<TimerHandle>()

  /** Timers that have neither fired nor been cancelled. */
  get timers(): number {
    return this.#live.size
  }

  now(): number {
    return systemClock.now()
  }

  wallMs(): number {
    return systemClock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): TimerHandle {
    const timer = systemClock.setTimer(delayMs, () => {
      this.#live.delete(handle)
      callback()
    })
    const handle: TimerHandle = {
      cancel: () => {
        this.#live.delete(handle)
        timer.cancel()
      },
    }
    this.#live.add(handle)
    return handle
  }
}
