import type { ByteWriter } from '../byte-writer.ts'
import { putBytes, SHORT_TEXT } from '../native-text.ts'
import { writeJson } from './json-text.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Appends a string in quotes. */
export function writeJsonString(text: string, out: ByteWriter): void {
  const { length } = text
  out.reserve(length * 3 + 2)
  const { bytes } = out
  let at = out.end
  bytes[at++] = QUOTE
  if (length <= SHORT_TEXT) {
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) {
        writeJson(text, out)
        return
      }
      bytes[at++] = code
    }
  } else {
    const end = at + bytes.utf8Write(text, at)
    for (; at < end; at++) {
      const code = bytes[at]!
      if (code < 0x20 || code === QUOTE || code === BACKSLASH) {
        writeJson(text, out)
        return
      }
    }
  }
  bytes[at++] = QUOTE
  out.end = at
}

/** Appends `constant` and then the string in quotes, or `null`. */
export function writeJsonMember(constant: Uint8Array, text: string | undefined, out: ByteWriter): void {
  out.reserve(constant.length + 4)
  out.end = putBytes(out.bytes, out.end, constant)
  if (text === undefined) {
    const { bytes } = out
    const at = out.end
    bytes[at] = 0x6e
    bytes[at + 1] = 0x75
    bytes[at + 2] = 0x6c
    bytes[at + 3] = 0x6c
    out.end = at + 4
  } else writeJsonString(text, out)
}

export function writeConstant(constant: Uint8Array, out: ByteWriter): void {
  out.reserve(constant.length)
  out.end = putBytes(out.bytes, out.end, constant)
}

/** Appends an integer from 0 to 2^53 - 1 in decimal. */
export function writeDecimal(value: number, out: ByteWriter): void {
  out.reserve(16)
  const { bytes } = out
  let rest = value
  let digits = 1
  for (let limit = 10; rest >= limit && digits < 16; limit *= 10) digits++
  let at = out.end + digits
  out.end = at
  while (rest > 0x7fff_ffff) {
    const next = Math.floor(rest / 10)
    bytes[--at] = 0x30 + (rest - next * 10)
    rest = next
  }
  let small = rest | 0
  for (; at > out.end - digits; small = (small / 10) | 0) bytes[--at] = 0x30 + (small % 10)
}
