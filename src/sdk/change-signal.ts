import type { Clock } from '../core/clock.ts'

/** Lets a few waiters sleep until something changed, or a while has passed. Costs nothing while nobody waits. */
export class ChangeSignal {
  readonly #clock: Clock
  #waiters: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0
  }

  /** Resolves with the next {@link notify}, or after `timeoutMs`. */
  wait(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, resolve)
      this.#waiters.push(() => {
        timer.cancel()
        resolve()
      })
    })
  }

  notify(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}
