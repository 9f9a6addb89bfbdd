import type { ByteWriter } from '../../wire/byte-writer.ts'
import type { ByteChannel } from './byte-channel.ts'
import { acquireWriter, type PooledWriter, releaseWriter, type WriterBorrower } from './writer-pool.ts'

/** Bytes given to the channel and not taken yet at which the peer counts as slow. */
export const HIGH_WATER_BYTES = 256 * 1024
/** Bytes at which a slow peer counts as caught up. */
export const LOW_WATER_BYTES = 64 * 1024

/** Told when a writer is writable again. */
export interface DrainListener {
  onDrained(): void
}

/** Writers with something to hand over at the end of this tick. One microtask serves all of them. */
let dirty: TickWriter[] = []
/** The same at the end of this turn of the event loop, when every socket that had something to say was heard. */
let patient: TickWriter[] = []

function flushDirty(): void {
  const writers = dirty
  dirty = []
  for (const writer of writers) writer.flush()
}

function flushPatient(): void {
  const writers = patient
  patient = []
  for (const writer of writers) writer.flush()
}

/**
 * Collects the frames of one tick (or turn) in one buffer and hands them to the channel in one write. Bytes that the
 * channel has not taken are never touched: the next tick encodes into another buffer.
 */
export class TickWriter implements WriterBorrower {
  readonly #channel: ByteChannel
  readonly #listener: DrainListener
  /** What this tick encodes into. Being defined means that a flush is scheduled. */
  #current: PooledWriter | undefined
  /** Handed over and not taken. */
  #untakenBytes = 0
  #isSlow = false
  #isEnded = false

  constructor(channel: ByteChannel, listener: DrainListener) {
    this.#channel = channel
    this.#listener = listener
  }

  get isWritable(): boolean {
    if (this.#isSlow) return false
    const current = this.#current
    return current === undefined || this.#untakenBytes + current.size < HIGH_WATER_BYTES
  }

  /** Frames were appended in this tick and have not left. */
  get isGathering(): boolean {
    return this.#current !== undefined
  }

  /**
   * Where to append a frame. What is appended leaves at the end of this tick, or with `isPatient` at the end of this
   * turn of the event loop, together with what other sockets' bytes lead to. The first frame decides. A channel that
   * defers by itself is never kept waiting twice.
   */
  open(isPatient = false): ByteWriter {
    const current = this.#current
    if (current !== undefined) return current
    const writer = acquireWriter(this)
    writer.end = this.#channel.headroomBytes ?? 0
    this.#current = writer
    if (isPatient && this.#channel.isDeferring === undefined) {
      if (patient.push(this) === 1) setImmediate(flushPatient)
    } else if (dirty.push(this) === 1) queueMicrotask(flushDirty)
    return writer
  }

  /** Hands over now what was appended. */
  flush(): void {
    const writer = this.#current
    if (writer === undefined) return
    this.#current = undefined
    const count = writer.size
    if (count === (this.#channel.headroomBytes ?? 0) || this.#isEnded) {
      releaseWriter(writer)
      return
    }
    this.#untakenBytes += count
    if (this.#untakenBytes >= HIGH_WATER_BYTES) this.#isSlow = true
    if (writer.attachedBytes === 0) this.#channel.write(writer.bytes.subarray(0, count), writer.onTaken)
    else if (this.#channel.writeParts === undefined)
      this.#channel.write(Buffer.concat(writer.parts(), count), writer.onTaken)
    else this.#channel.writeParts(writer.parts(), writer.onTaken)
  }

  /** Nothing is handed over from now on; bytes appended later are dropped. */
  end(): void {
    this.#isEnded = true
  }

  onTaken(writer: PooledWriter, error: Error | null | undefined): void {
    this.#untakenBytes -= writer.size
    /* After an error the kernel may still read the bytes: leave them to the garbage collector. */
    if (error) return
    releaseWriter(writer)
    if (this.#isSlow && this.#untakenBytes <= LOW_WATER_BYTES) {
      this.#isSlow = false
      if (!this.#isEnded) this.#listener.onDrained()
    }
  }
}
