const QUOTE = 0x22
const ZERO = 0x30

/** Larger payloads are left to `JSON.parse`: strings cut from a text keep all of it alive. */
export const MAX_CURSOR_BYTES = 16 * 1024

/**
 * Walks JSON text whose layout is known in advance. Every step says whether the text went along; on the first no,
 * the caller gives up and lets `JSON.parse` read it. Only for text without backslashes.
 */
export class TextCursor {
  text = ''
  at = 0

  /** False when the payload is not for a cursor: too large, or with escapes. */
  open(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_CURSOR_BYTES) return false
    this.text = bytes.utf8Slice(start, end)
    this.at = 0
    return !this.text.includes('\\')
  }

  /** Lets go of the text. */
  close(): void {
    this.text = ''
  }

  skip(constant: string): boolean {
    if (!this.text.startsWith(constant, this.at)) return false
    this.at += constant.length
    return true
  }

  next(): number {
    return this.text.charCodeAt(this.at)
  }

  /** A string in quotes, or null when there is none. */
  string(): string | null {
    const { text, at } = this
    if (text.charCodeAt(at) !== QUOTE) return null
    const end = text.indexOf('"', at + 1)
    if (end < 0) return null
    this.at = end + 1
    return text.substring(at + 1, end)
  }

  /** A whole number, or -1 when there is none. */
  integer(): number {
    const { text } = this
    const first = this.at
    let value = 0
    let { at } = this
    for (; at - first < 15; at++) {
      const digit = text.charCodeAt(at) - ZERO
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
    }
    const digits = at - first
    if (digits === 0 || digits === 15 || (digits > 1 && text.charCodeAt(first) === ZERO)) return -1
    this.at = at
    return value
  }

  get isAtEnd(): boolean {
    return this.at === this.text.length
  }
}
