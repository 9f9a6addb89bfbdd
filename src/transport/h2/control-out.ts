import type { Socket } from 'node:net'
import { H2_ERROR, Violation } from './violation.ts'

/**
 * Bytes of our answers (acknowledgements, window updates) that a peer may leave untaken. One that asks for more and
 * reads nothing wants our memory: pings and settings are answered one for one.
 */
const MAX_UNTAKEN_BYTES = 64 * 1024

/** The small frames that a chunk of the peer's leads to: they leave in one write. */
export class ControlOut {
  readonly #socket: Socket
  #frames: Buffer[] = []
  #untakenBytes = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** @throws Violation when the peer does not take what it asks for */
  add(frame: Buffer): void {
    this.#untakenBytes += frame.length
    if (this.#untakenBytes > MAX_UNTAKEN_BYTES)
      throw new Violation(H2_ERROR.enhanceYourCalm, 'frames to answer by the thousand, and no answer is read')
    this.#frames.push(frame)
  }

  flush(): void {
    if (this.#frames.length === 0) return
    const bytes = this.#frames.length === 1 ? this.#frames[0]! : Buffer.concat(this.#frames)
    this.#frames = []
    this.#socket.write(bytes, () => {
      this.#untakenBytes -= bytes.length
    })
  }
}
