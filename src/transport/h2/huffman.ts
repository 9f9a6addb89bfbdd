import { H2_ERROR, Violation } from './violation.ts'

/**
 * Bits of each symbol's code, 0 to 255 and the end-of-string mark (RFC 7541, appendix B). The code is canonical:
 * among codes of one length, and from one length to the next, codes count upwards in the order of the symbols.
 */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]

const EOS = 256
/** Most padding that may follow the last symbol: less than a byte (RFC 7541, section 5.2). */
const MAX_PADDING_BITS = 7

/** The tree of all codes: `NEXT[node * 2 + bit]` is the next node, or -1 - symbol. Node 0 is the root. */
const NEXT = codeTree()

function codeTree(): Int16Array {
  const symbols = CODE_BITS.map((_, symbol) => symbol).sort((a, b) => CODE_BITS[a]! - CODE_BITS[b]! || a - b)
  const next = new Int16Array(EOS * 2)
  let nodes = 1
  let code = 0
  let bits = 0
  for (const symbol of symbols) {
    const length = CODE_BITS[symbol]!
    code <<= length - bits
    bits = length
    let node = 0
    for (let bit = length - 1; bit > 0; bit--) {
      const index = node * 2 + ((code >>> bit) & 1)
      if (next[index] === 0) next[index] = nodes++
      node = next[index]!
    }
    next[node * 2 + (code & 1)] = -1 - symbol
    code++
  }
  return next
}

/**
 * The text that a Huffman code stands for, one character per byte.
 * @throws Violation COMPRESSION_ERROR for the end-of-string mark and for padding that is not the mark's beginning
 */
export function decodeHuffman(bytes: Buffer, from: number, to: number): string {
  let text = ''
  let node = 0
  let openBits = 0
  let isAllOnes = true
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    for (let shift = 7; shift >= 0; shift--) {
      const bit = (byte >>> shift) & 1
      const next = NEXT[node * 2 + bit]!
      if (next >= 0) {
        node = next
        openBits++
        isAllOnes &&= bit === 1
        continue
      }
      if (next === -1 - EOS) throw new Violation(H2_ERROR.compression, 'a string goes on behind its end')
      text += String.fromCharCode(-1 - next)
      node = 0
      openBits = 0
      isAllOnes = true
    }
  }
  if (openBits > MAX_PADDING_BITS || !isAllOnes)
    throw new Violation(H2_ERROR.compression, 'a string ends inside a Huffman code')
  return text
}
