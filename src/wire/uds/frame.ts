import { WeirError } from '../../core/errors.ts'
import type { Framing } from '../splitter.ts'

/*
 * One frame: [length, u32 big endian, type byte included][type][payload]
 */
export const FRAME_HEAD_BYTES = 5
/** Largest length that peers accept, type byte included. */
export const MAX_FRAME_LENGTH = 16_777_216
export const MAX_PAYLOAD_BYTES = MAX_FRAME_LENGTH - 1

export const FRAME = {
  handshakeRequest: 0x01,
  handshakeResponse: 0x02,
  requestHeaders: 0x10,
  requestBodyChunk: 0x11,
  responseHeaders: 0x12,
  responseBodyChunk: 0x13,
  requestComplete: 0x14,
  webSocketFrame: 0x15,
  guardrailInspect: 0x16,
  configure: 0x17,
  reply: 0x20,
  health: 0x30,
  metrics: 0x31,
  configUpdate: 0x32,
  flow: 0x33,
  cancel: 0x40,
  ping: 0x41,
  pong: 0x42,
} as const

export const UDS_FRAMING: Framing = {
  prefixBytes: 4,
  frameBytes(bytes, at, maxPayloadBytes) {
    const length = bytes.readUInt32BE(at)
    if (length === 0) {
      throw new WeirError('PROTOCOL_ERROR', 'frame length 0: a frame has at least its type byte')
    }
    if (length - 1 > maxPayloadBytes) {
      throw new WeirError(
        'TOO_LARGE',
        `frame payload of ${length - 1} bytes: at most ${maxPayloadBytes} accepted`,
      )
    }
    return 4 + length
  },
}
