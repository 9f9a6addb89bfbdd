import type { ByteWriter } from './byte-writer.ts'

/** Up to this many bytes a loop beats making a string in native code and writing that. */
const SHORT_DATA = 64

const DIGITS = Uint8Array.from(
  Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'),
)
const PAD = 0x3d

/** Length of the base64 text of so many bytes, padding included. */
export function base64Length(byteCount: number): number {
  return Math.ceil(byteCount / 3) * 4
}

/** Appends the standard base64 text of `data`. */
export function writeBase64(data: Uint8Array, out: ByteWriter): void {
  const { length } = data
  const encodedLength = base64Length(length)
  out.reserve(encodedLength)
  if (length > SHORT_DATA) {
    const view = Buffer.from(data.buffer, data.byteOffset, length)
    out.end += out.bytes.latin1Write(view.base64Slice(0, length), out.end)
    return
  }
  const { bytes } = out
  let at = out.end
  let from = 0
  for (; from + 2 < length; from += 3) {
    const triple = (data[from]! << 16) | (data[from + 1]! << 8) | data[from + 2]!
    bytes[at++] = DIGITS[triple >> 18]!
    bytes[at++] = DIGITS[(triple >> 12) & 63]!
    bytes[at++] = DIGITS[(triple >> 6) & 63]!
    bytes[at++] = DIGITS[triple & 63]!
  }
  const rest = length - from
  if (rest > 0) {
    const pair = (data[from]! << 16) | ((rest === 2 ? data[from + 1]! : 0) << 8)
    bytes[at++] = DIGITS[pair >> 18]!
    bytes[at++] = DIGITS[(pair >> 12) & 63]!
    bytes[at++] = rest === 2 ? DIGITS[(pair >> 6) & 63]! : PAD
    bytes[at++] = PAD
  }
  out.end = at
}
