import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { FrameLimits } from '../codec.ts'
import type { Framing } from '../splitter.ts'
import { tooLarge } from '../write-errors.ts'

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
  if (payload > maxSendBytes) throw tooLarge(payload, maxSendBytes)
}

/** Leaves room for a prefix and returns where it starts. */
export function beginMessage(out: ByteWriter): number {
  out.reserve(PREFIX_BYTES)
  const start = out.end
  out.end = start + PREFIX_BYTES
  return start
}

/** Writes the prefix once the payload lies behind it. @throws WeirError TOO_LARGE, `sent: false`. */
export function endMessage(out: ByteWriter, start: number, maxSendBytes: number): void {
  const { bytes } = out
  const length = out.end - start - PREFIX_BYTES + out.attachedSince(start)
  checkSendable(length, maxSendBytes)
  bytes[start] = 0
  bytes[start + 1] = length >>> 24
  bytes[start + 2] = (length >>> 16) & 0xff
  bytes[start + 3] = (length >>> 8) & 0xff
  bytes[start + 4] = length & 0xff
}

/** Appends the prefix and a payload that is already encoded. */
export function appendMessage(payload: Buffer, maxSendBytes: number, out: ByteWriter): void {
  checkSendable(payload.length, maxSendBytes)
  const start = beginMessage(out)
  appendPayload(payload, maxSendBytes, out)
  endMessage(out, start, maxSendBytes)
}

/** Appends an encoded payload alone. @throws WeirError TOO_LARGE, `sent: false`. */
export function appendPayload(payload: Buffer, maxSendBytes: number, out: ByteWriter): void {
  checkSendable(payload.length, maxSendBytes)
  out.reserve(payload.length)
  payload.copy(out.bytes, out.end)
  out.end += payload.length
}
