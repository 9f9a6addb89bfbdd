import { WeirError } from '../core/errors.ts'

/** How one kind of frame tells its own length. */
export interface Framing {
  /** Bytes at the head of a frame that tell its length. */
  readonly prefixBytes: number
  /**
   * Length of the whole frame whose prefix starts at `at`.
   * @throws WeirError PROTOCOL_ERROR or TOO_LARGE.
   */
  frameBytes(bytes: Buffer, at: number, maxPayloadBytes: number): number
}

/**
 * Takes one whole frame, prefix included. The bytes are only valid during the call, but those of a frame of
 * {@link LASTING_BYTES} or more are never written again, so that views on them may be kept.
 */
export type FrameSink = (bytes: Buffer, start: number, end: number) => void

/** Frames of this size own the buffer that they were gathered in; smaller ones share it. */
export const LASTING_BYTES = 16 * 1024
const FIRST_BYTES = 4096
/** How much larger than what was received the room for a frame may be: its announced length is only a claim. */
const GROWTH = 8
/** Memory of a larger frame is given back, however the next one will be. */
const SPARE_BYTES = 256 * 1024

/** Where the next small frame that spans chunks is gathered, whosever it is: connections between frames hold none. */
let smallSpare: Buffer | null = null

/**
 * Cuts a byte stream into frames. Frames that lie whole inside a chunk are handed on in place; one that spans
 * chunks is gathered in a buffer that grows with the data received, never with the length announced.
 */
export abstract class FrameReader {
  readonly #framing: Framing
  #maxPayloadBytes: number
  /** The start of an incomplete frame: `#held[0..#heldEnd)`. */
  #held: Buffer | null = null
  #heldEnd = 0
  /** `#held` is a view on bytes that were pushed, as long as they lie in one piece. Never written through. */
  #isView = false
  /** Length of the frame in `#held`; 0 while its prefix is incomplete. */
  #heldFrame = 0
  #broken: WeirError | null = null
  #keptCount: (() => number) | undefined
  /** The memory of an earlier frame that nobody has any more. */
  #spare: Buffer | null = null

  constructor(framing: Framing, maxPayloadBytes: number) {
    this.#framing = framing
    this.#maxPayloadBytes = maxPayloadBytes
  }

  /** As {@link FrameSink}. */
  protected abstract onFrame(bytes: Buffer, start: number, end: number): void

  get bufferedBytes(): number {
    return this.#heldEnd
  }

  /** Counts from the next prefix that is read on. */
  setMaxPayloadBytes(bytes: number): void {
    this.#maxPayloadBytes = bytes
  }

  /** @throws WeirError PROTOCOL_ERROR or TOO_LARGE, or what the sink throws; from then on every call throws. */
  push(chunk: Buffer): void {
    if (this.#broken !== null) throw this.#broken
    try {
      this.#take(chunk)
    } catch (thrown) {
      /* The rest of the chunk is lost, so nothing behind it can be told apart any more. */
      this.#break(WeirError.from(thrown, 'PROTOCOL_ERROR'))
      throw thrown
    }
  }

  #take(chunk: Buffer): void {
    let at = this.#heldEnd === 0 ? 0 : this.#complete(chunk)
    const { prefixBytes } = this.#framing
    while (chunk.length - at >= prefixBytes) {
      const size = this.#framing.frameBytes(chunk, at, this.#maxPayloadBytes)
      if (chunk.length - at < size) {
        this.#heldFrame = size
        break
      }
      const start = at
      at += size
      this.onFrame(chunk, start, at)
    }
    if (at < chunk.length) this.#hold(chunk, at, chunk.length)
  }

  /** @throws WeirError PROTOCOL_ERROR when the stream ended inside a frame. */
  end(): void {
    if (this.#broken !== null) throw this.#broken
    if (this.#heldEnd === 0) return
    const reason = `the stream ended inside a frame, after ${this.#heldEnd} bytes of it`
    const error = new WeirError('PROTOCOL_ERROR', reason)
    this.#break(error)
    throw error
  }

  /** Feeds the frame begun in an earlier chunk. Returns how much of `chunk` it took. */
  #complete(chunk: Buffer): number {
    let at = 0
    if (this.#heldFrame === 0) {
      const missing = this.#framing.prefixBytes - this.#heldEnd
      at = Math.min(missing, chunk.length)
      this.#hold(chunk, 0, at)
      if (at < missing) return at
      this.#heldFrame = this.#framing.frameBytes(this.#held!, 0, this.#maxPayloadBytes)
    }
    const taken = Math.min(this.#heldFrame - this.#heldEnd, chunk.length - at)
    this.#hold(chunk, at, at + taken)
    if (this.#heldEnd < this.#heldFrame) return at + taken
    const bytes = this.#held!
    const size = this.#heldFrame
    const isLasting = size >= LASTING_BYTES
    const isSpare = isLasting && !this.#isView && bytes.length <= SPARE_BYTES
    this.#heldEnd = 0
    this.#heldFrame = 0
    const isSmall = !isLasting && !this.#isView
    this.#held = null
    this.#isView = false
    const kept = this.#keptCount?.()
    this.onFrame(bytes, 0, size)
    if (isSpare && kept !== undefined && this.#keptCount!() === kept) this.#spare = bytes
    if (isSmall) smallSpare = bytes
    return at + taken
  }

  #hold(chunk: Buffer, from: number, to: number): void {
    const needed = this.#heldEnd + (to - from)
    if (this.#isView ? this.#follows(chunk, from) : this.#held === null && chunk.length >= LASTING_BYTES) {
      const start = this.#isView ? this.#held!.byteOffset : chunk.byteOffset + from
      this.#held = Buffer.from(chunk.buffer, start, needed)
      this.#heldEnd = needed
      this.#isView = true
      return
    }
    if (this.#held === null && smallSpare !== null) {
      this.#held = smallSpare
      smallSpare = null
    }
    if (this.#held === null || this.#isView || this.#held.length < needed) {
      const grown = this.#room(needed)
      if (this.#held !== null) this.#held.copy(grown, 0, 0, this.#heldEnd)
      this.#held = grown
      this.#isView = false
    }
    chunk.copy(this.#held, this.#heldEnd, from, to)
    this.#heldEnd = needed
  }

  #room(needed: number): Buffer {
    const spare = this.#spare
    if (spare !== null && spare.length >= Math.max(needed, this.#heldFrame)) {
      this.#spare = null
      return spare
    }
    return Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed, Math.min(needed * GROWTH, this.#heldFrame)))
  }

  /** The bytes behind the view that is held: reads that went behind one another need no gathering. */
  #follows(chunk: Buffer, from: number): boolean {
    const held = this.#held!
    return chunk.buffer === held.buffer && chunk.byteOffset + from === held.byteOffset + this.#heldEnd
  }

  reuse(keptCount: () => number): void {
    this.#keptCount = keptCount
  }

  /** Moves what is held of an incomplete frame to the start of `to`, which may overlap it; returns its length. */
  moveHeld(to: Buffer): number {
    const length = this.#heldEnd
    if (length === 0) return 0
    this.#held!.copy(to, 0, 0, length)
    this.#held = to.subarray(0, length)
    this.#isView = true
    return length
  }

  #break(error: WeirError): void {
    this.#broken = error
    this.#held = null
    this.#heldEnd = 0
  }
}

/** A frame reader that is not made by the thousand, so that its sink may be a closure. */
export class FrameSplitter extends FrameReader {
  readonly #sink: FrameSink

  constructor(framing: Framing, maxPayloadBytes: number, sink: FrameSink) {
    super(framing, maxPayloadBytes)
    this.#sink = sink
  }

  protected override onFrame(bytes: Buffer, start: number, end: number): void {
    this.#sink(bytes, start, end)
  }
}
