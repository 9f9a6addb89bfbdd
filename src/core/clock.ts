import { performance } from 'node:perf_hooks'

/** Handle of a timer made by {@link Clock.setTimer}. */
export interface TimerHandle {
  cancel(): void
}

/** Time as a parameter, so that tests can hold it. Intervals use `now`, never `wallMs`. */
export interface Clock {
  /** Monotonic milliseconds with fraction, from an arbitrary origin. Never steps back. */
  now(): number
  /** Unix epoch milliseconds; may step when the host's clock is set. */
  wallMs(): number
  /** Runs `callback` once after `delayMs` (>= 0). Does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): TimerHandle
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return { cancel: () => clearTimeout(timer) }
  },
}
