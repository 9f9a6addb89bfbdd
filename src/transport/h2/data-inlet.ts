import { ReceiveWindow } from './receive-window.ts'

/** Small, as every stream of a connection may keep a few bytes. */
const FIRST_BYTES = 4 * 1024

/**
 * The data of one stream on its way in. What arrives while its owner has paused is kept, as the connection goes on
 * being read for what it says of other things; the stream's window, which is given no room meanwhile, bounds it.
 */
export class DataInlet {
  readonly #window: ReceiveWindow
  readonly #windowBytes: number
  #isPaused = false
  /** In one piece, however small the pieces were that it came in. */
  #kept: Buffer | undefined
  #keptBytes = 0

  /** `windowBytes`: of the stream, as announced. */
  constructor(windowBytes: number) {
    this.#window = new ReceiveWindow(windowBytes)
    this.#windowBytes = windowBytes
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** @throws Violation for more than was allowed */
  take(length: number): void {
    this.#window.take(length)
  }

  /** Whether the owner gets `data` now; if not, a copy of it is kept. */
  passes(data: Buffer): boolean {
    if (!this.#isPaused) return true
    const needed = this.#keptBytes + data.length
    if (this.#kept === undefined || this.#kept.length < needed) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#windowBytes, Math.max(FIRST_BYTES, needed * 2)))
      this.#kept?.copy(grown, 0, 0, this.#keptBytes)
      this.#kept = grown
    }
    data.copy(this.#kept, this.#keptBytes)
    this.#keptBytes = needed
    return false
  }

  /** By how much to give the peer room now; 0: not yet. */
  refill(): number {
    return this.#isPaused ? 0 : this.#window.refill()
  }

  pause(): void {
    this.#isPaused = true
  }

  /** Data goes to the owner again. Returns what was kept, which goes first. */
  resume(): Buffer | undefined {
    this.#isPaused = false
    const kept = this.#kept?.subarray(0, this.#keptBytes)
    this.drop()
    return kept
  }

  /** Forgets what was kept; returns how many bytes that were. */
  drop(): number {
    const dropped = this.#keptBytes
    this.#kept = undefined
    this.#keptBytes = 0
    return dropped
  }
}
