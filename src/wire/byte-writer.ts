/**
 * One growing buffer that a connection encodes its frames into, in place, and hands to the socket once per
 * tick. Fields are public because the encoders write through them directly; nobody else may.
 */
export class ByteWriter {
  bytes: Buffer
  /** Next free byte; everything before it is ready to leave. */
  end = 0

  /** `initialBytes`: idle connections are many, so start small; the buffer doubles under load. */
  constructor(initialBytes = 1024) {
    this.bytes = Buffer.allocUnsafeSlow(initialBytes)
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
  }
}
