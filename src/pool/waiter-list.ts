import type { LeaseWaiter } from './lease.ts'

/**
 * Callers in the order they came: a circle through the waiters' own links, closed by one sentinel, so that
 * joining, leaving and leaving from the middle are O(1) and allocate nothing.
 *
 *   sentinel -> oldest -> ... -> youngest -> sentinel
 */
export class WaiterList {
  readonly #sentinel: LeaseWaiter = sentinel()

  constructor() {
    this.#sentinel.waiterPrev = this.#sentinel
    this.#sentinel.waiterNext = this.#sentinel
  }

  get first(): LeaseWaiter | null {
    return this.after(this.#sentinel)
  }

  after(waiter: LeaseWaiter): LeaseWaiter | null {
    const next = waiter.waiterNext!
    return next === this.#sentinel ? null : next
  }

  push(waiter: LeaseWaiter): void {
    const last = this.#sentinel.waiterPrev!
    waiter.waiterPrev = last
    waiter.waiterNext = this.#sentinel
    last.waiterNext = waiter
    this.#sentinel.waiterPrev = waiter
  }
}

/** Takes a waiter out of whichever list holds it. */
export function unlink(waiter: LeaseWaiter): void {
  waiter.waiterPrev!.waiterNext = waiter.waiterNext
  waiter.waiterNext!.waiterPrev = waiter.waiterPrev
  waiter.waiterPrev = null
  waiter.waiterNext = null
}

function sentinel(): LeaseWaiter {
  return {
    correlationId: '',
    sessionKey: undefined,
    pinnedTo: 0,
    avoid: 0,
    waiterPrev: null,
    waiterNext: null,
    isWaiting: false,
    onLeased: ignore,
    onRefused: ignore,
  }
}

function ignore(): void {}
