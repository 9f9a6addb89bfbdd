import { SHORT_TEXT } from '../native-text.ts'

/*
 * Protobuf written through `(bytes, at) -> at behind it`. The caller has made room: a text takes at most three bytes
 * per character and ten for its tag and length.
 */
export const TEXT_OVERHEAD = 10

/** A whole number from 0 to 2^53 - 1. */
export function putVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  let to = at
  while (rest > 0x7fff_ffff) {
    bytes[to++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  let small = rest | 0
  while (small > 0x7f) {
    bytes[to++] = (small & 0x7f) | 0x80
    small >>>= 7
  }
  bytes[to++] = small
  return to
}

export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5
}

/** An integer field with a one-byte tag; zero is left out, as proto3 has it. */
export function putCount(bytes: Buffer, at: number, tag: number, value: number): number {
  if (value === 0) return at
  bytes[at] = tag
  return putVarint(bytes, at + 1, value)
}

/** A string field with a one-byte tag; the empty string is left out, as proto3 has it. */
export function putText(bytes: Buffer, at: number, tag: number, text: string): number {
  return text === '' ? at : putOptionalText(bytes, at, tag, text)
}

/** A string field with a one-byte tag and presence: written whatever it holds. */
export function putOptionalText(bytes: Buffer, at: number, tag: number, text: string): number {
  const { length } = text
  bytes[at] = tag
  if (length > SHORT_TEXT) return putLongText(bytes, at + 1, text)
  let to = at + 2
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return putLongText(bytes, at + 1, text)
    bytes[to++] = code
  }
  bytes[at + 1] = length
  return to
}

/** Length and text, without a tag. */
function putLongText(bytes: Buffer, at: number, text: string): number {
  const guess = varintBytes(text.length)
  const end = at + guess + bytes.utf8Write(text, at + guess)
  return closeMessage(bytes, at, guess, end)
}

/**
 * Writes the length of what lies between `at + guess` and `end` at `at`, moving it when the length takes another
 * number of bytes than were left for it. Returns the new end.
 */
export function closeMessage(bytes: Buffer, at: number, guess: number, end: number): number {
  const length = end - at - guess
  const needed = varintBytes(length)
  if (needed !== guess) bytes.copyWithin(at + needed, at + guess, end)
  putVarint(bytes, at, length)
  return at + needed + length
}

/** A message of two strings, `1 name` and `2 value`, behind a one-byte tag. */
export function putHeader(bytes: Buffer, at: number, tag: number, name: string, value: string): number {
  bytes[at] = tag
  const guess = name.length + value.length > 0x7b ? 2 : 1
  let to = at + 1 + guess
  to = putText(bytes, to, 0x0a, name)
  to = putText(bytes, to, 0x12, value)
  return closeMessage(bytes, at + 1, guess, to)
}
