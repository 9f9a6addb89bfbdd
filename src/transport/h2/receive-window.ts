import { H2_ERROR, Violation } from './violation.ts'

/**
 * Bytes of data that the peer may still send, on the connection or on its stream. What arrives is used at once, so it
 * is given back at once, but in large steps: an update per half of the window.
 */
export class ReceiveWindow {
  readonly #size: number
  #left: number

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

  /** By how much to give the peer room now; 0: not yet. */
  refill(): number {
    const used = this.#size - this.#left
    if (used * 2 < this.#size) return 0
    this.#left = this.#size
    return used
  }
}
