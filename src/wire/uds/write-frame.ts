import type { ByteWriter } from '../byte-writer.ts'
import { tooLarge } from '../write-errors.ts'
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
  const payload = out.end - start - FRAME_HEAD_BYTES + out.attachedSince(start)
  if (payload > maxPayloadBytes) throw tooLarge(payload, maxPayloadBytes)
  const { bytes } = out
  const length = payload + 1
  bytes[start] = length >>> 24
  bytes[start + 1] = (length >>> 16) & 0xff
  bytes[start + 2] = (length >>> 8) & 0xff
  bytes[start + 3] = length & 0xff
  bytes[start + 4] = type
}
