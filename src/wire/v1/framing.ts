import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { Framing } from '../splitter.ts'

/*
 * One frame: [length, u32 big endian, without itself][JSON]. No type byte: what a reply means follows from what
 * was asked.
 */
export const V1_PREFIX_BYTES = 4
/** Largest payload that peers accept. */
export const V1_MAX_PAYLOAD_BYTES = 10 * 1024 * 1024

export const V1_FRAMING: Framing = {
  prefixBytes: V1_PREFIX_BYTES,
  frameBytes(bytes, at, maxPayloadBytes) {
    const length = bytes.readUInt32BE(at)
    if (length === 0) throw new WeirError('PROTOCOL_ERROR', 'frame length 0: a frame has a payload')
    if (length > maxPayloadBytes)
      throw new WeirError('TOO_LARGE', `frame of ${length} bytes: at most ${maxPayloadBytes} accepted`)
    return V1_PREFIX_BYTES + length
  },
}

/** Appends one frame. @throws WeirError TOO_LARGE, `sent: false`; `out` is then as before. */
export function writeV1Frame(value: unknown, out: ByteWriter): void {
  const text = JSON.stringify(value)
  const length = Buffer.byteLength(text)
  if (length > V1_MAX_PAYLOAD_BYTES)
    throw new WeirError(
      'TOO_LARGE',
      `message of ${length} bytes: at most ${V1_MAX_PAYLOAD_BYTES} can be sent`,
      {
        sent: false,
      },
    )
  out.reserve(V1_PREFIX_BYTES + length)
  out.bytes.writeUInt32BE(length, out.end)
  out.bytes.write(text, out.end + V1_PREFIX_BYTES, length, 'utf8')
  out.end += V1_PREFIX_BYTES + length
}
