import { LASTING_BYTES } from '../../wire/splitter.ts'

/** A read that fills this means that more is waiting. Too small for a frame whose bytes may be kept. */
const SHARED_BYTES = LASTING_BYTES - 1
/** What a connection with much to read reads into. */
const SLAB_BYTES = 256 * 1024
/** With less room than this the rest of a slab is not read into any more. */
const LEAST_BYTES = 64 * 1024
/** Small reads in a row after which a connection gives its slab back. */
const CALM_READS = 8

/** For all connections with little to read: its bytes are used up before the next read. */
const shared = Buffer.allocUnsafeSlow(SHARED_BYTES)

/** Who gets what is read, and knows what of it is still in use. As of `ChannelListener`. */
export interface ReadListener {
  onData(chunk: Buffer): void
  /** Undefined: anything that was delivered may be in use, now and later. */
  keptCount?(): number | undefined
  heldBytes?(): number
  moveHeld?(to: Buffer): number
}

/**
 * Where one connection's bytes are read into, in place of a buffer per read. Little goes to a buffer that all
 * connections share; much goes to a slab of the connection's own, one read behind the other, so that a frame that came
 * in several reads lies in one piece. Views on a slab are handed out, so it is written only once, unless it is known
 * that nobody keeps them.
 */
export class ReadBuffers {
  readonly #isReused: boolean
  #slab: Buffer | null = null
  #at = 0
  #calmReads = 0
  /** Somebody has views on the slab. */
  #isKept = false

  /** `isReused`: nobody keeps views beyond `onData`, unless `ReadListener.keptCount` says so. */
  constructor(isReused: boolean) {
    this.#isReused = isReused
  }

  /** Where the next read goes. */
  readonly next = (): Buffer => (this.#slab === null ? shared : this.#slab.subarray(this.#at))

  /** Hands on what was just read. */
  deliver(count: number, listener: ReadListener): void {
    const slab = this.#slab
    if (slab === null) {
      listener.onData(shared.subarray(0, count))
      if (count === SHARED_BYTES) this.#begin()
      return
    }
    const from = this.#at
    this.#at += count
    const kept = listener.keptCount?.()
    listener.onData(slab.subarray(from, this.#at))
    this.#isKept ||= !this.#isReused || kept === undefined || listener.keptCount!() !== kept
    this.#calmReads = count < SHARED_BYTES ? this.#calmReads + 1 : 0
    if (this.#calmReads >= CALM_READS) this.#slab = null
    else this.#makeRoom(slab, listener)
  }

  #makeRoom(slab: Buffer, listener: ReadListener): void {
    const isLow = slab.length - this.#at < LEAST_BYTES
    if (this.#isKept) {
      if (isLow) this.#begin()
      return
    }
    const held = listener.heldBytes!()
    if (held > 0 && !isLow) return
    if (held > LEAST_BYTES * 2) this.#begin()
    else this.#at = held === 0 ? 0 : listener.moveHeld!(slab)
  }

  #begin(): void {
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    this.#at = 0
    this.#calmReads = 0
    this.#isKept = false
  }
}
