import { WeirError } from '../../core/errors.ts'
import { LASTING_BYTES } from '../splitter.ts'
import { malformed } from './fields.ts'

/**
 * Body bytes from base64 text or from raw bytes, as a copy of their own.
 * @throws WeirError PROTOCOL_ERROR when the text is not whole base64: a gap would hide bytes from an agent.
 */
export function bodyBytes(value: unknown, what: string): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value !== 'string') throw malformed(what, 'base64', value)
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length !== decodedLength(value)) {
    throw new WeirError('PROTOCOL_ERROR', `${what}: not valid base64`)
  }
  return bytes
}

/**
 * Raw body bytes out of a frame: a view where the frame is large enough to own its memory and the data is most of it,
 * else a copy.
 */
export function ownBytes(bytes: Buffer, start: number, end: number): Buffer {
  const view = bytes.subarray(start, end)
  return end - start >= LASTING_BYTES ? view : Buffer.from(view)
}

/** -1 when no data has a text of that length. */
function decodedLength(base64: string): number {
  let digits = base64.length
  if (digits > 0 && base64.charCodeAt(digits - 1) === 0x3d) digits--
  if (digits > 0 && base64.charCodeAt(digits - 1) === 0x3d) digits--
  /* One digit over holds no whole byte. */
  return digits % 4 === 1 ? -1 : Math.floor((digits * 3) / 4)
}

export function base64Of(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('base64')
}
