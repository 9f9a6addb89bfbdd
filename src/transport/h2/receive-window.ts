import { H2_ERROR, Violation } from './violation.ts'

/**
 * Bytes of data that the peer may still send, on the connection or on its stream. What arrives and is used is given
 * back at once, but in large steps: an update per half of what can be given. What is only kept is not given back.
 */
export class ReceiveWindow {
  readonly #size: number
  #left: number
  #heldBytes = 0

  /** `size` bytes, as announced. */
  constructor(size: number) {
    this.#size = size
    this.#left = size
  }

  /** @throws Violation for more than was allowed (RFC 9113, section 6.9) */
  take(count: number): void {
    if (count > this.#left)
      throw new Violation(H2_ERROR.flowControl, `${count} bytes of data where ${this.#left} were allowed`)
    this.#left -= count
  }

  /** `count` bytes that were taken are kept, not used: they are given back only once they are released. */
  hold(count: number): void {
    this.#heldBytes += count
  }

  release(count: number): void {
    this.#heldBytes -= count
  }

  /** By how much to give the peer room now; 0: not yet. */
  refill(): number {
    const most = this.#size - this.#heldBytes
    const used = most - this.#left
    if (used <= 0 || used * 2 < most) return 0
    this.#left = most
    return used
  }
}
