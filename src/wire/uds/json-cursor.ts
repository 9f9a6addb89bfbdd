import { jsonMarks, MARK_BITS } from '../json-marks.ts'
import { hasRun, type Run, viewOf } from '../runs.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const ZERO = 0x30
const MAX_DIGITS = 15

/** Larger payloads are left to `JSON.parse`: strings cut from a text keep all of it alive. */
const MAX_CURSOR_BYTES = 16 * 1024
const EMPTY = Buffer.alloc(0)
const NO_VIEW = new DataView(EMPTY.buffer, 0, 0)

/**
 * Walks JSON whose layout is known in advance. Every step says whether the bytes went along; on the first no, the
 * caller gives up and lets `JSON.parse` read it. Strings with escapes do not go along.
 */
export class JsonCursor {
  at = 0
  #bytes: Buffer = EMPTY
  #view: DataView = NO_VIEW
  #start = 0
  #end = 0
  /** The whole payload as Latin-1, to cut ASCII strings from without a native call for each. */
  #text = ''

  /** False when the payload is too large for a cursor. */
  open(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_CURSOR_BYTES) return false
    this.#bytes = bytes
    this.#view = viewOf(bytes)
    this.#text = bytes.latin1Slice(start, end)
    this.#start = start
    this.#end = end
    this.at = start
    return true
  }

  /** Lets go of the bytes. */
  close(): void {
    this.#bytes = EMPTY
    this.#view = NO_VIEW
    this.#text = ''
  }

  skip(constant: Run): boolean {
    if (!hasRun(this.#view, this.at, this.#end, constant)) return false
    this.at += constant.length
    return true
  }

  skipByte(byte: number): boolean {
    if (this.next() !== byte) return false
    this.at++
    return true
  }

  /** The byte that comes next; -1 at the end. */
  next(): number {
    return this.at < this.#end ? this.#bytes[this.at]! : -1
  }

  /** A string in quotes, or null when there is none. */
  string(): string | null {
    return this.skipByte(QUOTE) ? this.rest() : null
  }

  /** A string whose first quote was skipped, or null. */
  rest(): string | null {
    const bytes = this.#bytes
    const end = this.#end
    const from = this.at
    let isAscii = true
    for (let at = this.#plainEnd(from); at < end; at++) {
      const code = bytes[at]!
      if (code === QUOTE) {
        this.at = at + 1
        return isAscii
          ? this.#text.substring(from - this.#start, at - this.#start)
          : bytes.utf8Slice(from, at)
      }
      if (code < 0x20 || code === BACKSLASH) return null
      if (code > 0x7f) isAscii = false
    }
    return null
  }

  /** How far, in steps of four bytes, there is nothing but ASCII without quotes, backslashes and control characters. */
  #plainEnd(from: number): number {
    const view = this.#view
    const before = this.#end - 3
    let at = from
    while (at < before) {
      const word = view.getInt32(at, true)
      if (((jsonMarks(word) | word) & MARK_BITS) !== 0) break
      at += 4
    }
    return at
  }

  /** A whole number, or -1 when there is none. */
  integer(): number {
    const bytes = this.#bytes
    const first = this.at
    const end = Math.min(this.#end, first + MAX_DIGITS)
    let value = 0
    let at = first
    for (; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
    }
    const digits = at - first
    if (digits === 0 || digits === MAX_DIGITS || (digits > 1 && bytes[first] === ZERO)) return -1
    this.at = at
    return value
  }

  get isAtEnd(): boolean {
    return this.at === this.#end
  }
}
