import { type Field, STATIC_TABLE } from './static-table.ts'

/** A literal that no table remembers, with a new name (RFC 7541, section 6.2.2). */
const LITERAL = 0x00
const INDEXED = 0x80

/**
 * A header block without Huffman codes and without the dynamic table: fields of the static table by their number,
 * anything else as text. It is made once per connection, so its size does not count, and the peer's table stays empty.
 */
export function encodeHeaders(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(encodeField))
}

function encodeField([name, value]: Field): Buffer {
  const index = STATIC_TABLE.findIndex((known) => known[0] === name && known[1] === value)
  if (index >= 0) return integer(INDEXED, 7, index + 1)
  const nameIndex = STATIC_TABLE.findIndex((known) => known[0] === name)
  const head = nameIndex >= 0 ? [integer(LITERAL, 4, nameIndex + 1)] : [Buffer.of(LITERAL), ...string(name)]
  return Buffer.concat([...head, ...string(value)])
}

function string(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  return [integer(0, 7, bytes.length), bytes]
}

/** RFC 7541, section 5.1. */
function integer(first: number, prefixBits: number, value: number): Buffer {
  const mask = (1 << prefixBits) - 1
  if (value < mask) return Buffer.of(first | value)
  const bytes = [first | mask]
  let rest = value - mask
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}
