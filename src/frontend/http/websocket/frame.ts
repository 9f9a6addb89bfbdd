import { randomFillSync } from 'node:crypto'
import type { WebSocketOpcode } from '../../../core/event.ts'

/** Opcode numbers of RFC 6455 section 5.2; the reserved ones are absent. */
export const OPCODES: ReadonlyMap<number, WebSocketOpcode> = new Map([
  [0x0, 'continuation'],
  [0x1, 'text'],
  [0x2, 'binary'],
  [0x8, 'close'],
  [0x9, 'ping'],
  [0xa, 'pong'],
])

/** Close codes of RFC 6455 section 7.4.1. */
export const CLOSE = {
  goingAway: 1001,
  protocolError: 1002,
  policyViolation: 1008,
  tooBig: 1009,
  internalError: 1011,
} as const

/** Room for a reason: a control frame carries 125 bytes, two of them the code. */
const MAX_REASON_BYTES = 123

export interface Frame {
  readonly opcode: WebSocketOpcode
  readonly fin: boolean
  /** Unmasked. */
  readonly payload: Uint8Array
  /** The frame as it came, mask included, to be passed on untouched. */
  readonly bytes: readonly Uint8Array[]
  readonly length: number
}

/** A close frame. Frames to a server must be masked. A code that must not be sent becomes 1008. */
export function closeFrame(code: number, reason: string, isMasked: boolean): Buffer {
  const text = cutToBytes(reason, MAX_REASON_BYTES)
  const payload = Buffer.alloc(2 + text.length)
  payload.writeUInt16BE(isSendable(code) ? code : CLOSE.policyViolation)
  text.copy(payload, 2)
  return smallFrame(0x88, payload, isMasked)
}

/** An empty piece of a fragmented message, in the place of one that was dropped. */
export function emptyContinuation(fin: boolean, isMasked: boolean): Buffer {
  return smallFrame(fin ? 0x80 : 0x00, Buffer.alloc(0), isMasked)
}

function smallFrame(first: number, payload: Buffer, isMasked: boolean): Buffer {
  if (!isMasked) return Buffer.concat([Buffer.from([first, payload.length]), payload])
  const mask = randomFillSync(Buffer.alloc(4))
  const masked = Buffer.from(payload)
  applyMask(masked, mask)
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length]), mask, masked])
}

/** XORs in place with a mask of four bytes. */
export function applyMask(data: Uint8Array, mask: Uint8Array): void {
  const [a = 0, b = 0, c = 0, d = 0] = mask
  const whole = data.length & ~3
  for (let at = 0; at < whole; at += 4) {
    data[at]! ^= a
    data[at + 1]! ^= b
    data[at + 2]! ^= c
    data[at + 3]! ^= d
  }
  for (let at = whole; at < data.length; at++) data[at]! ^= mask[at & 3]!
}

function isSendable(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
}

function cutToBytes(text: string, most: number): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length <= most) return bytes
  let end = most
  /* Not in the middle of a character. */
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
