import { hasBytes, isAscii } from '../native-text.ts'
import type { Run } from '../runs.ts'

/** Larger payloads are left to the generic reader: strings cut from a text keep all of it alive. */
export const MAX_CURSOR_BYTES = 16 * 1024

/**
 * Walks MessagePack whose layout is known in advance. Every step says whether the bytes went along; on the first
 * no, the caller gives up and lets the generic reader have it.
 */
export class MsgpackCursor {
  bytes: Buffer = EMPTY
  at = 0
  end = 0
  /** The whole payload as Latin-1, to cut ASCII strings from without a native call for each; '' without one. */
  #text = ''
  #start = 0

  open(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_CURSOR_BYTES) return false
    this.openAt(bytes, start, end)
    this.#start = start
    this.#text = bytes.latin1Slice(start, end)
    return true
  }

  /** For a look at a few members only: no text is made of the whole. */
  openAt(bytes: Buffer, start: number, end: number): void {
    this.bytes = bytes
    this.at = start
    this.end = end
    this.#text = ''
  }

  /** Lets go of the bytes. */
  close(): void {
    this.bytes = EMPTY
    this.#text = ''
  }

  skip(constant: Run): boolean {
    if (!hasBytes(this.bytes, this.at, this.end, constant.bytes)) return false
    this.at += constant.length
    return true
  }

  skipByte(byte: number): boolean {
    if (this.at >= this.end || this.bytes[this.at] !== byte) return false
    this.at++
    return true
  }

  string(): string | null {
    const { bytes, at, end } = this
    if (at >= end) return null
    const code = bytes[at]!
    let from = at + 1
    let length: number
    if (code >= 0xa0 && code < 0xc0) length = code & 0x1f
    else if (code === 0xd9 && at + 2 <= end) {
      length = bytes[at + 1]!
      from = at + 2
    } else if (code === 0xda && at + 3 <= end) {
      length = (bytes[at + 1]! << 8) | bytes[at + 2]!
      from = at + 3
    } else return null
    const to = from + length
    if (to > end) return null
    this.at = to
    if (this.#text === '' || !isAscii(bytes, from, to)) return bytes.utf8Slice(from, to)
    return this.#text.substring(from - this.#start, to - this.#start)
  }

  /** A whole number below 2^32, or -1 when there is none. */
  integer(): number {
    const { bytes, at, end } = this
    if (at >= end) return -1
    const code = bytes[at]!
    if (code < 0x80) {
      this.at = at + 1
      return code
    }
    if (code === 0xcc && at + 2 <= end) {
      this.at = at + 2
      return bytes[at + 1]!
    }
    if (code === 0xcd && at + 3 <= end) {
      this.at = at + 3
      return (bytes[at + 1]! << 8) | bytes[at + 2]!
    }
    if (code === 0xce && at + 5 <= end) {
      this.at = at + 5
      return bytes.readUInt32BE(at + 1)
    }
    return -1
  }

  /** Entries of an array or map: `fix` is 0x90 or 0x80, `code16` 0xdc or 0xde; -1 when it is not one. */
  entries(fix: number, code16: number): number {
    const { bytes, at, end } = this
    if (at >= end) return -1
    const code = bytes[at]!
    if ((code & 0xf0) === fix) {
      this.at = at + 1
      return code & 0x0f
    }
    if (code !== code16 || at + 3 > end) return -1
    this.at = at + 3
    return (bytes[at + 1]! << 8) | bytes[at + 2]!
  }

  get isAtEnd(): boolean {
    return this.at === this.end
  }
}

const EMPTY = Buffer.alloc(0)
