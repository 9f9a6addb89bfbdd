import { type Field, STATIC_TABLE } from './static-table.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** What an entry counts beside its text (RFC 7541, section 4.1). */
const ENTRY_BYTES = 32

/** Bytes that a field counts in a table and in a header list. */
export function fieldBytes([name, value]: Field): number {
  return name.length + value.length + ENTRY_BYTES
}

/** The static table and behind it what the peer had us remember, newest first (RFC 7541, section 2.3). */
export class HeaderTable {
  readonly #limitBytes: number
  /** Oldest first. */
  readonly #entries: Field[] = []
  #maxBytes: number
  #bytes = 0

  /** `limitBytes`: SETTINGS_HEADER_TABLE_SIZE as we announced it. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
    this.#maxBytes = limitBytes
  }

  /** Bytes of the remembered fields, counted as the RFC does. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws Violation for an index that stands for nothing */
  at(index: number): Field {
    const field =
      index <= STATIC_TABLE.length
        ? STATIC_TABLE[index - 1]
        : this.#entries[this.#entries.length - (index - STATIC_TABLE.length)]
    if (field === undefined) throw new Violation(H2_ERROR.compression, `no header has the index ${index}`)
    return field
  }

  /** Remembers a field; one that is larger than the table empties it (RFC 7541, section 4.4). */
  add(field: Field): void {
    const bytes = fieldBytes(field)
    this.#evict(this.#maxBytes - bytes)
    if (bytes > this.#maxBytes) return
    this.#entries.push(field)
    this.#bytes += bytes
  }

  /** @throws Violation for more than was announced */
  resize(maxBytes: number): void {
    if (maxBytes > this.#limitBytes)
      throw new Violation(H2_ERROR.compression, `a header table of ${maxBytes} bytes was not agreed`)
    this.#maxBytes = maxBytes
    this.#evict(maxBytes)
  }

  #evict(toBytes: number): void {
    let count = 0
    while (this.#bytes > toBytes && count < this.#entries.length)
      this.#bytes -= fieldBytes(this.#entries[count++]!)
    if (count > 0) this.#entries.splice(0, count)
  }
}
