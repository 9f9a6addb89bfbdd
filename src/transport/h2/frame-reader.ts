import { FLAG, FRAME, HEADER_BYTES } from './frames.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** What a frame reader hands on, in the order of the bytes. Throws end the reading. */
export interface FrameSink {
  /** A frame begins. Judged before a byte of its payload is looked at or kept. */
  onFrameBegin(type: number, flags: number, stream: number, length: number): void
  /** Some of the data of a DATA frame, without its padding; valid as long as the chunk that it came in. */
  onData(data: Buffer, stream: number): void
  /** A DATA frame is over. */
  onDataEnd(stream: number, flags: number): void
  /** Any other known frame, whole. `payload` is only valid during the call. */
  onFrame(type: number, flags: number, stream: number, payload: Buffer): void
}

/** Known types; the payload of any other is skipped without being kept (RFC 9113, section 5.5). */
const LAST_KNOWN = FRAME.continuation
const NOTHING = Buffer.alloc(0)

/**
 * Cuts a byte stream into HTTP/2 frames (RFC 9113, section 4.1). Data is handed on in place, part by part; other
 * frames are gathered when they span chunks, up to what the sink lets begin.
 */
export class FrameReader {
  readonly #sink: FrameSink
  readonly #maxFrameBytes: number
  /** A header that spans chunks. */
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #isInFrame = false
  #isStopped = false
  #type = 0
  #flags = 0
  #stream = 0
  #length = 0
  /** Payload bytes still to come. */
  #left = 0
  /** Padding at the end of those; -1: the byte that tells it is still to come. */
  #padding = 0
  /** The payload gathered so far, of a frame that spans chunks. */
  #held: Buffer = NOTHING
  #heldBytes = 0

  /** `maxFrameBytes`: as announced in our settings. */
  constructor(sink: FrameSink, maxFrameBytes: number) {
    this.#sink = sink
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes kept of a frame that is not complete. */
  get bufferedBytes(): number {
    return this.#headerBytes + this.#heldBytes
  }

  /** Nothing is handed on any more. */
  stop(): void {
    this.#isStopped = true
    this.#held = NOTHING
  }

  /** @throws Violation, or what the sink throws. Nothing may be pushed after that. */
  push(chunk: Buffer): void {
    let at = 0
    const end = chunk.length
    while (!this.#isStopped && at < end) {
      if (!this.#isInFrame) at = this.#readHeader(chunk, at)
      else if (this.#type === FRAME.data) at = this.#readData(chunk, at)
      else if (this.#type > LAST_KNOWN) at = this.#skip(chunk, at)
      else at = this.#readPayload(chunk, at)
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
      this.#begin(chunk, at)
      return at + HEADER_BYTES
    }
    const taken = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at)
    chunk.copy(this.#header, this.#headerBytes, at, at + taken)
    this.#headerBytes += taken
    if (this.#headerBytes === HEADER_BYTES) {
      this.#headerBytes = 0
      this.#begin(this.#header, 0)
    }
    return at + taken
  }

  #begin(bytes: Buffer, at: number): void {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    const type = bytes[at + 3]!
    const flags = bytes[at + 4]!
    /* The highest bit is reserved and ignored. */
    const stream =
      ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!
    if (length > this.#maxFrameBytes) {
      const text = `a frame of ${length} bytes; at most ${this.#maxFrameBytes} were agreed`
      throw new Violation(H2_ERROR.frameSize, text)
    }
    this.#sink.onFrameBegin(type, flags, stream, length)
    this.#type = type
    this.#flags = flags
    this.#stream = stream
    this.#length = length
    this.#left = length
    this.#isInFrame = true
    if (type === FRAME.data) {
      this.#padding = (flags & FLAG.padded) === 0 ? 0 : -1
      if (this.#padding < 0 && length === 0) throw new Violation(H2_ERROR.frameSize, 'padding without room')
    }
    if (length === 0) this.#finish(NOTHING)
  }

  #readData(chunk: Buffer, from: number): number {
    let at = from
    if (this.#padding < 0) {
      this.#padding = chunk[at++]!
      this.#left--
      if (this.#padding > this.#left)
        throw new Violation(H2_ERROR.protocol, `${this.#padding} bytes of padding in ${this.#length}`)
    }
    const data = Math.min(this.#left - this.#padding, chunk.length - at)
    if (data > 0) {
      const part = chunk.subarray(at, at + data)
      at += data
      this.#left -= data
      this.#sink.onData(part, this.#stream)
    }
    if (this.#left <= this.#padding) {
      const skipped = Math.min(this.#left, chunk.length - at)
      at += skipped
      this.#left -= skipped
      this.#padding -= skipped
    }
    if (this.#left === 0) this.#finish(NOTHING)
    return at
  }

  #skip(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#left, chunk.length - at)
    this.#left -= taken
    if (this.#left === 0) this.#isInFrame = false
    return at + taken
  }

  #readPayload(chunk: Buffer, at: number): number {
    if (this.#heldBytes === 0 && chunk.length - at >= this.#left) {
      const end = at + this.#left
      this.#finish(chunk.subarray(at, end))
      return end
    }
    if (this.#heldBytes === 0) this.#held = Buffer.allocUnsafe(this.#length)
    const taken = Math.min(this.#left, chunk.length - at)
    chunk.copy(this.#held, this.#heldBytes, at, at + taken)
    this.#heldBytes += taken
    this.#left -= taken
    if (this.#left === 0) {
      const payload = this.#held
      this.#held = NOTHING
      this.#heldBytes = 0
      this.#finish(payload)
    }
    return at + taken
  }

  /** The frame is whole. Data was handed on already. */
  #finish(payload: Buffer): void {
    this.#isInFrame = false
    if (this.#isStopped || this.#type > LAST_KNOWN) return
    if (this.#type === FRAME.data) this.#sink.onDataEnd(this.#stream, this.#flags)
    else this.#sink.onFrame(this.#type, this.#flags, this.#stream, payload)
  }
}
