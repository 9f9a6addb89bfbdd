/* Deeper payloads are refused before anything recurses into them. */
const MAX_DEPTH = 128

/**
 * Walks one MessagePack value without building anything. Returns the index behind it, or -1 when it is cut off,
 * announces more entries than there are bytes, nests too deep, or uses extension types, which the protocol does
 * not have and decoders give powers to.
 */
export function skipValue(bytes: Buffer, at: number, end: number, depth = 0): number {
  if (at >= end) return -1
  const code = bytes[at]!
  if (code < 0x80 || code >= 0xe0) return at + 1
  if (code < 0x90) return skipEntries(bytes, at + 1, end, (code & 0x0f) * 2, depth)
  if (code < 0xa0) return skipEntries(bytes, at + 1, end, code & 0x0f, depth)
  if (code < 0xc0) return within(at + 1 + (code & 0x1f), end)
  switch (code) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return at + 1
    case 0xcc:
    case 0xd0:
      return within(at + 2, end)
    case 0xcd:
    case 0xd1:
      return within(at + 3, end)
    case 0xca:
    case 0xce:
    case 0xd2:
      return within(at + 5, end)
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return within(at + 9, end)
    case 0xc4:
    case 0xd9:
      return at + 2 > end ? -1 : within(at + 2 + bytes[at + 1]!, end)
    case 0xc5:
    case 0xda:
      return at + 3 > end ? -1 : within(at + 3 + bytes.readUInt16BE(at + 1), end)
    case 0xc6:
    case 0xdb:
      return at + 5 > end ? -1 : within(at + 5 + bytes.readUInt32BE(at + 1), end)
    case 0xdc:
      return at + 3 > end ? -1 : skipEntries(bytes, at + 3, end, bytes.readUInt16BE(at + 1), depth)
    case 0xdd:
      return at + 5 > end ? -1 : skipEntries(bytes, at + 5, end, bytes.readUInt32BE(at + 1), depth)
    case 0xde:
      return at + 3 > end ? -1 : skipEntries(bytes, at + 3, end, bytes.readUInt16BE(at + 1) * 2, depth)
    case 0xdf:
      return at + 5 > end ? -1 : skipEntries(bytes, at + 5, end, bytes.readUInt32BE(at + 1) * 2, depth)
    default:
      return -1
  }
}

function within(next: number, end: number): number {
  return next > end ? -1 : next
}

function skipEntries(bytes: Buffer, from: number, end: number, entries: number, depth: number): number {
  if (depth >= MAX_DEPTH || entries > end - from) return -1
  let at = from
  for (let i = 0; i < entries; i++) {
    at = skipValue(bytes, at, end, depth + 1)
    if (at < 0) return -1
  }
  return at
}
