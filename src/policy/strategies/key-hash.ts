/** Spreads the bits of a 32-bit number over the whole word (the finalizer of MurmurHash3). */
export function mix32(value: number): number {
  let mixed = value ^ (value >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

/** 32-bit hash of a text (FNV-1a over UTF-16 units, then mixed). Stable across processes and releases. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return mix32(hash)
}

/** 32-bit hash of two 32-bit numbers, for instance a key's hash and a candidate's id. */
export function hashPair(one: number, other: number): number {
  return mix32(Math.imul(one, 0x9e3779b1) ^ mix32(other + 0x7f4a7c15))
}
