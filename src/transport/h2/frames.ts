/** Bytes in front of every frame: length (24 bits), type, flags, stream (RFC 9113, section 4.1). */
export const HEADER_BYTES = 9

/** Frame types (RFC 9113, section 6). Others are skipped. */
export const FRAME = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const

/** Frame flags; one bit means different things in different frames. */
export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** Settings (RFC 9113, section 6.5.2). */
export const SETTING = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
} as const

/** What both sides assume until settings say otherwise (RFC 9113, sections 6.5.2 and 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535
export const DEFAULT_FRAME_BYTES = 16_384
/** Largest of each that may be announced. */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1
export const MAX_FRAME_BYTES = 2 ** 24 - 1

/** What a client says first (RFC 9113, section 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Writes a frame's header where nine bytes were left free for it. */
export function putHeader(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  bytes[at] = length >>> 16
  bytes[at + 1] = (length >>> 8) & 0xff
  bytes[at + 2] = length & 0xff
  bytes[at + 3] = type
  bytes[at + 4] = flags
  bytes[at + 5] = stream >>> 24
  bytes[at + 6] = (stream >>> 16) & 0xff
  bytes[at + 7] = (stream >>> 8) & 0xff
  bytes[at + 8] = stream & 0xff
}

/** A whole frame with a small payload. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length)
  putHeader(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, HEADER_BYTES)
  return bytes
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.allocUnsafe(settings.length * 6)
  settings.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6)
    payload.writeUInt32BE(value, index * 6 + 2)
  })
  return frame(FRAME.settings, 0, 0, payload)
}

export function windowUpdateFrame(stream: number, increment: number): Buffer {
  return frame(FRAME.windowUpdate, 0, stream, uint32(increment))
}

export function rstStreamFrame(stream: number, code: number): Buffer {
  return frame(FRAME.rstStream, 0, stream, uint32(code))
}

/** `code` 0 is an end in good order; streams of the peer's above `lastStream` were not taken. */
export function goawayFrame(code: number, lastStream: number, text = ''): Buffer {
  return frame(FRAME.goaway, 0, 0, Buffer.concat([uint32(lastStream), uint32(code), Buffer.from(text)]))
}

/** A header block in as many frames as it takes (section 6.10). */
export function headersFrames(block: Buffer, flags: number, stream: number, maxFrameBytes: number): Buffer {
  const frames: Buffer[] = []
  let at = 0
  do {
    const end = Math.min(block.length, at + maxFrameBytes)
    const isLast = end === block.length
    const type = at === 0 ? FRAME.headers : FRAME.continuation
    const own = (at === 0 ? flags : 0) | (isLast ? FLAG.endHeaders : 0)
    frames.push(frame(type, own, stream, block.subarray(at, end)))
    at = end
  } while (at < block.length)
  return Buffer.concat(frames)
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}
