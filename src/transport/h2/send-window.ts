import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './frames.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** Bytes of data that the peer lets us send, on a connection or on one stream of it (RFC 9113, section 5.2). */
export class SendWindow {
  #bytes: number

  constructor(bytes = DEFAULT_WINDOW_BYTES) {
    this.#bytes = bytes
  }

  /** May be below zero, after the peer took back some of what it gave (section 6.9.2). */
  get bytes(): number {
    return this.#bytes
  }

  take(count: number): void {
    this.#bytes -= count
  }

  /**
   * A WINDOW_UPDATE, or the change of the initial window of streams, which may be negative.
   * @throws Violation when the window would be larger than a window may be (section 6.9.1)
   */
  give(bytes: number): void {
    const grown = this.#bytes + bytes
    if (grown > MAX_WINDOW_BYTES) throw new Violation(H2_ERROR.flowControl, `a window of ${grown} bytes`)
    this.#bytes = grown
  }
}
