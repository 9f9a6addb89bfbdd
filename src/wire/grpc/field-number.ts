/**
 * The field number of a message's first field, which is its oneof's, because both messages that travel here hold
 * nothing else; 0 when there is none.
 */
export function firstFieldNumber(bytes: Uint8Array, start: number, end: number): number {
  let tag = 0
  for (let at = start, shift = 0; at < end && shift < 28; at++, shift += 7) {
    const byte = bytes[at]!
    tag |= (byte & 0x7f) << shift
    if (byte < 0x80) return tag >>> 3
  }
  return 0
}
