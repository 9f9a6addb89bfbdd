import type { ByteWriter } from '../../wire/byte-writer.ts'
import type { ByteChannel } from './byte-channel.ts'
import { acquireWriter, releaseWriter } from './writer-pool.ts'

/** Bytes given to the channel and not taken yet at which the peer counts as slow. */
export const HIGH_WATER_BYTES = 256 * 1024
/** Bytes at which a slow peer counts as caught up. */
export const LOW_WATER_BYTES = 64 * 1024

/**
 * Collects the frames of one tick in one buffer and hands them to the channel in one write. Bytes that the
 * channel has not taken are never touched: the next tick encodes into another buffer.
 */
export class TickWriter {
  readonly #channel: ByteChannel
  readonly #onDrained: () => void
  /** What this tick encodes into. Being defined means that a flush is scheduled. */
  #current: ByteWriter | undefined
  /** Handed over and not taken, oldest first. */
  readonly #untaken: ByteWriter[] = []
  #untakenBytes = 0
  #isSlow = false
  #isEnded = false

  /** `onDrained` is called when `isWritable` turns true again. */
  constructor(channel: ByteChannel, onDrained: () => void) {
    this.#channel = channel
    this.#onDrained = onDrained
  }

  get isWritable(): boolean {
    if (this.#isSlow) return false
    const current = this.#current
    return current === undefined || this.#untakenBytes + current.size < HIGH_WATER_BYTES
  }

  /** Where to append a frame. What is appended leaves at the end of this tick. */
  open(): ByteWriter {
    return this.#current ?? this.#begin()
  }

  /** Hands over now what was appended. */
  readonly flush = (): void => {
    const writer = this.#current
    if (writer === undefined) return
    this.#current = undefined
    const count = writer.size
    if (count === 0 || this.#isEnded) {
      releaseWriter(writer)
      return
    }
    this.#untaken.push(writer)
    this.#untakenBytes += count
    if (this.#untakenBytes >= HIGH_WATER_BYTES) this.#isSlow = true
    if (writer.attachedBytes === 0) this.#channel.write(writer.bytes.subarray(0, count), this.#onTaken)
    else if (this.#channel.writeParts === undefined)
      this.#channel.write(Buffer.concat(writer.parts(), count), this.#onTaken)
    else this.#channel.writeParts(writer.parts(), this.#onTaken)
  }

  /** Nothing is handed over from now on; bytes appended later are dropped. */
  end(): void {
    this.#isEnded = true
  }

  #begin(): ByteWriter {
    const writer = acquireWriter()
    this.#current = writer
    queueMicrotask(this.flush)
    return writer
  }

  readonly #onTaken = (error?: Error | null): void => {
    const writer = this.#untaken.shift()
    if (writer === undefined) return
    this.#untakenBytes -= writer.size
    /* After an error the kernel may still read the bytes: leave them to the garbage collector. */
    if (error) return
    releaseWriter(writer)
    if (this.#isSlow && this.#untakenBytes <= LOW_WATER_BYTES) {
      this.#isSlow = false
      if (!this.#isEnded) this.#onDrained()
    }
  }
}
