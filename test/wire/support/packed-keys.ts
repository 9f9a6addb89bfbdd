/** The keys of every map in a MessagePack value, read byte by byte: decoders keep one of two equal keys silently. */
export function packedKeys(bytes: Buffer): string[][] {
  const maps: string[][] = []
  let at = 0

  function count(width: 1 | 2 | 4): number {
    const value = bytes.readUIntBE(at, width)
    at += width
    return value
  }
  function text(length: number): string {
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  function array(length: number): undefined {
    for (let item = 0; item < length; item++) value()
  }
  function map(length: number): undefined {
    const keys: string[] = []
    maps.push(keys)
    for (let entry = 0; entry < length; entry++) {
      keys.push(String(value()))
      value()
    }
  }
  function skip(length: number): undefined {
    at += length
  }
  /** Strings come back, everything else is only passed over. */
  function value(): string | undefined {
    const head = count(1)
    if (head < 0x80 || head >= 0xe0) return undefined
    if (head < 0x90) return map(head & 0x0f)
    if (head < 0xa0) return array(head & 0x0f)
    if (head < 0xc0) return text(head & 0x1f)
    switch (head) {
      case 0xc0:
      case 0xc2:
      case 0xc3:
        return undefined
      case 0xc4:
        return skip(count(1))
      case 0xc5:
        return skip(count(2))
      case 0xc6:
        return skip(count(4))
      case 0xca:
      case 0xce:
      case 0xd2:
        return skip(4)
      case 0xcb:
      case 0xcf:
      case 0xd3:
        return skip(8)
      case 0xcc:
      case 0xd0:
        return skip(1)
      case 0xcd:
      case 0xd1:
        return skip(2)
      case 0xd9:
        return text(count(1))
      case 0xda:
        return text(count(2))
      case 0xdb:
        return text(count(4))
      case 0xdc:
        return array(count(2))
      case 0xdd:
        return array(count(4))
      case 0xde:
        return map(count(2))
      case 0xdf:
        return map(count(4))
      default:
        throw new Error(`byte 0x${head.toString(16)} at ${at - 1} begins no value that this protocol has`)
    }
  }

  value()
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes are left over`)
  return maps
}
