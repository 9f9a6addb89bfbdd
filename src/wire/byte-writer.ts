/** Data of this size is cheaper to hand over beside the buffer than to copy into it. */
export const ATTACHED_BYTES = 16 * 1024

/** Bytes of somebody else's that stand in front of `bytes[at]`. */
export interface Attachment {
  at: number
  readonly data: Uint8Array
}

/**
 * One growing buffer that a connection encodes its frames into, in place, and hands to the socket once per
 * tick. Fields are public because the encoders write through them directly; nobody else may.
 */
export class ByteWriter {
  bytes: Buffer
  /** The same bytes, for runs of them (see `runs.ts`). */
  view: DataView
  /** Next free byte; everything before it is ready to leave. */
  end = 0
  /** Large data that leaves without being copied, in order; null: none, undefined: this writer takes none. */
  attachments: Attachment[] | null | undefined
  attachedBytes = 0

  /**
   * `initialBytes`: idle connections are many, so start small; the buffer doubles under load. `attaches`: whoever
   * hands the bytes over knows of `attachments`.
   */
  constructor(initialBytes = 1024, attaches = false) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes)
    this.view = new DataView(this.bytes.buffer)
    this.attachments = attaches ? null : undefined
  }

  /** Bytes that are ready to leave. */
  get size(): number {
    return this.end + this.attachedBytes
  }

  /** Makes room for `count` more bytes. Call before writing through `bytes`. */
  reserve(count: number): void {
    const needed = this.end + count
    if (needed <= this.bytes.length) return
    let size = this.bytes.length * 2
    while (size < needed) size *= 2
    const grown = Buffer.allocUnsafeSlow(size)
    this.bytes.copy(grown, 0, 0, this.end)
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  /**
   * Appends data, if it is large by reference: it must not change until it was handed over. `room` bytes more are
   * reserved behind it.
   */
  append(data: Uint8Array, room = 0): void {
    const { length } = data
    if (this.attachments === undefined || length < ATTACHED_BYTES) {
      this.reserve(length + room)
      this.bytes.set(data, this.end)
      this.end += length
      return
    }
    this.reserve(room)
    const attachment = { at: this.end, data }
    if (this.attachments === null) this.attachments = [attachment]
    else this.attachments.push(attachment)
    this.attachedBytes += length
  }

  /** Bytes attached behind a position of the buffer. */
  attachedSince(at: number): number {
    let count = 0
    const { attachments } = this
    if (attachments == null) return 0
    for (let i = attachments.length - 1; i >= 0 && attachments[i]!.at > at; i--)
      count += attachments[i]!.data.length
    return count
  }

  /** Moves what stands from `from` on, attachments included, by a few bytes. */
  shift(from: number, by: number): void {
    this.reserve(Math.max(by, 0))
    this.bytes.copyWithin(from + by, from, this.end)
    this.end += by
    const { attachments } = this
    if (attachments == null) return
    for (let i = attachments.length - 1; i >= 0 && attachments[i]!.at >= from; i--) attachments[i]!.at += by
  }

  /** Takes back what was appended behind a size of before. */
  rewind(end: number): void {
    this.end = end
    const { attachments } = this
    if (attachments == null) return
    while (attachments.length > 0 && attachments.at(-1)!.at > end)
      this.attachedBytes -= attachments.pop()!.data.length
  }

  /** Forgets everything. */
  clear(): void {
    this.end = 0
    if (this.attachedBytes === 0) return
    this.attachments = null
    this.attachedBytes = 0
  }

  /** What is ready to leave, in order. */
  parts(): Buffer[] {
    const parts: Buffer[] = []
    let from = 0
    for (const { at, data } of this.attachments ?? []) {
      if (at > from) parts.push(this.bytes.subarray(from, at))
      parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
      from = at
    }
    if (this.end > from) parts.push(this.bytes.subarray(from, this.end))
    return parts
  }
}
