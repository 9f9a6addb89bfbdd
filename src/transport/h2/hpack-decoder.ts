import { fieldBytes, HeaderTable } from './header-table.ts'
import { decodeHuffman } from './huffman.ts'
import type { Field } from './static-table.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** Integers are at most this; more than any table or block of ours, and far from overflow. */
const MAX_INTEGER = 2 ** 28

const NOTHING = Buffer.alloc(0)

/**
 * Decodes the header blocks of one connection, in their order (RFC 7541). Memory is bounded by the table that was
 * announced and by `maxListBytes` per block, however much a block makes of little.
 */
export class HpackDecoder {
  readonly #table: HeaderTable
  readonly #maxListBytes: number
  #bytes: Buffer = NOTHING
  #at = 0

  /** `tableBytes` and `maxListBytes`: as announced in our settings. */
  constructor(tableBytes: number, maxListBytes: number) {
    this.#table = new HeaderTable(tableBytes)
    this.#maxListBytes = maxListBytes
  }

  /** @throws Violation; nothing can be decoded after that. */
  decode(block: Buffer): Field[] {
    this.#bytes = block
    this.#at = 0
    const fields: Field[] = []
    let listBytes = 0
    while (this.#at < block.length) {
      const field = this.#next(fields.length > 0)
      if (field === undefined) continue
      listBytes += fieldBytes(field)
      if (listBytes > this.#maxListBytes)
        throw new Violation(H2_ERROR.enhanceYourCalm, `headers of more than ${this.#maxListBytes} bytes`)
      fields.push(field)
    }
    /* The block may lie in a buffer that others read into. */
    this.#bytes = NOTHING
    return fields
  }

  /** The next field, or undefined for an instruction that is none (RFC 7541, section 6). */
  #next(hasFields: boolean): Field | undefined {
    const first = this.#bytes[this.#at]!
    if (first >= 0x80) return this.#table.at(this.#integer(7))
    if (first >= 0x40) {
      const field = this.#literal(6)
      this.#table.add(field)
      return field
    }
    if (first < 0x20) return this.#literal(4)
    if (hasFields) throw new Violation(H2_ERROR.compression, 'the header table is resized among headers')
    this.#table.resize(this.#integer(5))
    return undefined
  }

  #literal(prefixBits: number): Field {
    const index = this.#integer(prefixBits)
    const name = index === 0 ? this.#string() : this.#table.at(index)[0]
    return [name, this.#string()]
  }

  #string(): string {
    const isHuffman = this.#byte() >= 0x80
    this.#at--
    const length = this.#integer(7)
    const from = this.#at
    const end = from + length
    if (end > this.#bytes.length) throw new Violation(H2_ERROR.compression, 'a header goes beyond its block')
    this.#at = end
    return isHuffman ? decodeHuffman(this.#bytes, from, end) : this.#bytes.latin1Slice(from, end)
  }

  /** RFC 7541, section 5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = this.#byte() & mask
    if (value < mask) return value
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte()
      if (shift > 21) throw new Violation(H2_ERROR.compression, 'a number of more than 28 bits')
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    if (value > MAX_INTEGER) throw new Violation(H2_ERROR.compression, 'a number of more than 28 bits')
    return value
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new Violation(H2_ERROR.compression, 'a header block ends inside a header')
    return byte
  }
}
