import { isAsciiRun, viewOf } from '../runs.ts'

/** Larger messages are left to generated code: strings cut from a text keep all of it alive. */
export const MAX_CURSOR_BYTES = 16 * 1024

/**
 * Walks protobuf fields. Anything unexpected sets `isOff`, and the caller lets generated code read the message.
 */
export class ProtoCursor {
  bytes: Buffer = EMPTY
  at = 0
  isOff = false
  /** The message as Latin-1, to cut ASCII strings from without a native call for each; '' without one. */
  #text = ''
  #start = 0

  openTexts(bytes: Buffer, start: number, end: number): boolean {
    if (end - start > MAX_CURSOR_BYTES) return false
    this.open(bytes, start)
    this.#text = bytes.latin1Slice(start, end)
    return true
  }

  open(bytes: Buffer, start: number): void {
    this.bytes = bytes
    this.at = start
    this.#start = start
    this.#text = ''
    this.isOff = false
  }

  /** Lets go of the bytes. */
  close(): void {
    this.bytes = EMPTY
    this.#text = ''
  }

  /** A varint below 2^49, which are all lengths, tags, sizes and instants. */
  varint(before: number): number {
    const { bytes } = this
    let { at } = this
    let value = 0
    let scale = 1
    for (let n = 0; n < 7 && at < before; n++) {
      const byte = bytes[at++]!
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        this.at = at
        return value
      }
      scale *= 0x80
    }
    this.isOff = true
    return 0
  }

  /** Reads a length; returns the end of what it measures, within `before`. */
  lengthEnd(before: number): number {
    const length = this.varint(before)
    const end = this.at + length
    if (end <= before) return end
    this.isOff = true
    return before
  }

  string(before: number): string {
    const end = this.lengthEnd(before)
    const { at, bytes } = this
    this.at = end
    if (this.#text === '' || !isAscii(bytes, at, end)) return bytes.utf8Slice(at, end)
    return this.#text.substring(at - this.#start, end - this.#start)
  }
}

/** Replies are short, and may be alone in their chunk: a view on it would cost more than it saves. */
const SHORT_BYTES = 16

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > SHORT_BYTES) return isAsciiRun(viewOf(bytes), start, end)
  for (let at = start; at < end; at++) if (bytes[at]! > 0x7f) return false
  return true
}

const EMPTY = Buffer.alloc(0)
