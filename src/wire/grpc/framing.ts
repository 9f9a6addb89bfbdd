import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { FrameLimits } from '../codec.ts'
import type { Framing } from '../splitter.ts'

/*
 * One message: [compressed flag][length, u32 big endian][payload]
 */
export const PREFIX_BYTES = 5
/** The protocol's 10 MiB and room for what surrounds a body of that size. */
export const DEFAULT_MAX_PAYLOAD_BYTES = 10 * 1024 * 1024 + 64 * 1024
/** What peers in use accept (tonic's default). */
export const DEFAULT_MAX_SEND_BYTES = 4 * 1024 * 1024

export const GRPC_FRAMING: Framing = {
  prefixBytes: PREFIX_BYTES,
  frameBytes(bytes, at, maxPayloadBytes) {
    if (bytes[at] !== 0) {
      throw new WeirError('PROTOCOL_ERROR', 'a compressed message, though no compression was agreed')
    }
    const length = bytes.readUInt32BE(at + 1)
    if (length > maxPayloadBytes) {
      throw new WeirError('TOO_LARGE', `message of ${length} bytes: at most ${maxPayloadBytes} accepted`)
    }
    return PREFIX_BYTES + length
  },
}

export function receiveLimit(limits: FrameLimits): number {
  return limits.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES
}

export function sendLimit(limits: FrameLimits): number {
  return limits.maxSendBytes ?? DEFAULT_MAX_SEND_BYTES
}

/** @throws WeirError TOO_LARGE, `sent: false`. */
export function checkSendable(payload: number, maxSendBytes: number): void {
  if (payload <= maxSendBytes) return
  throw new WeirError('TOO_LARGE', `message of ${payload} bytes: at most ${maxSendBytes} can be sent`, {
    sent: false,
  })
}

/** Appends the prefix and a payload that is already encoded. */
export function appendMessage(payload: Buffer, maxSendBytes: number, out: ByteWriter): void {
  checkSendable(payload.length, maxSendBytes)
  out.reserve(PREFIX_BYTES + payload.length)
  out.bytes[out.end] = 0
  out.bytes.writeUInt32BE(payload.length, out.end + 1)
  payload.copy(out.bytes, out.end + PREFIX_BYTES)
  out.end += PREFIX_BYTES + payload.length
}
