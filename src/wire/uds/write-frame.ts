import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { FRAME_HEAD_BYTES } from './frame.ts'

/** Leaves room for a frame's head and returns where the frame starts. */
export function beginFrame(out: ByteWriter): number {
  out.reserve(FRAME_HEAD_BYTES)
  const start = out.end
  out.end = start + FRAME_HEAD_BYTES
  return start
}

/** Writes the head once the payload lies behind it. @throws WeirError TOO_LARGE, `sent: false`. */
export function endFrame(out: ByteWriter, start: number, type: number, maxPayloadBytes: number): void {
  const payload = out.end - start - FRAME_HEAD_BYTES
  if (payload > maxPayloadBytes) throw tooLarge(payload, maxPayloadBytes)
  const { bytes } = out
  const length = payload + 1
  bytes[start] = length >>> 24
  bytes[start + 1] = (length >>> 16) & 0xff
  bytes[start + 2] = (length >>> 8) & 0xff
  bytes[start + 3] = length & 0xff
  bytes[start + 4] = type
}

export function tooLarge(payload: number, maxPayloadBytes: number): WeirError {
  return new WeirError('TOO_LARGE', `message of ${payload} bytes: at most ${maxPayloadBytes} can be sent`, {
    sent: false,
  })
}

/** What any failure to encode becomes: nothing was sent, and the message, not the connection, is at fault. */
export function unwritable(thrown: unknown): WeirError {
  if (thrown instanceof WeirError && !thrown.sent) return thrown
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new WeirError('INVALID_ARGUMENT', `the message cannot be encoded: ${reason}`, {
    sent: false,
    cause: thrown,
  })
}
