import type { ByteWriter } from '../byte-writer.ts'
import { SHORT_TEXT } from '../native-text.ts'
import { putRun, RUN_SLACK, type Run } from '../runs.ts'
import { checkStageSpent, putNextText, skipNextText, stageTexts } from '../text-stage.ts'

/*
 * MessagePack written through `(bytes, at) -> at behind it`, into room made beforehand.
 */

const NIL = 0xc0
/** Bytes per character at most. */
const GROWTH = 3
/** Bytes that a number or the head of a text, array or map takes at most. */
export const HEAD_BYTES = 9

/** Of the message that is being written. Writing makes no calls outside. */
let isStaged = false

/**
 * Makes room for a message of so many fixed bytes and of texts, which are staged in the order in which they will be put,
 * and returns where it starts.
 */
export function beginStaged(out: ByteWriter, fixedBytes: number, texts: string): number {
  isStaged = stageTexts(texts)
  out.reserve(fixedBytes + texts.length * (isStaged ? 1 : GROWTH) + RUN_SLACK)
  return out.end
}

/** Ends at `at` what {@link beginStaged} began. @throws WeirError INTERNAL when its texts were not those that were put. */
export function endStaged(out: ByteWriter, at: number): void {
  if (isStaged) checkStageSpent()
  out.end = at
}

/** As {@link beginStaged}, for a message whose texts, of so many characters, are not worth staging. */
export function begin(out: ByteWriter, fixedBytes: number, characters: number): number {
  out.reserve(fixedBytes + characters * GROWTH + RUN_SLACK)
  return out.end
}

/** Writes the next staged text. */
export function putStaged(out: ByteWriter, at: number, text: string): number {
  if (!isStaged) return putText(out.bytes, at, text)
  const { length } = text
  putTextHead(out.bytes, at, length)
  return putNextText(out.view, at + headBytes(length), length)
}

/** Passes over a staged text that is not wanted. */
export function skipStaged(text: string): void {
  skipNextText(text.length)
}

/** Writes a key and the next staged text; without a text, nil. */
export function putStagedMember(out: ByteWriter, at: number, key: Run, text: string | undefined): number {
  const to = putRun(out.view, at, key)
  if (text !== undefined) return putStaged(out, to, text)
  out.bytes[to] = NIL
  return to + 1
}

/** Writes a key and a text that is not staged. */
export function putMember(out: ByteWriter, at: number, key: Run, text: string | undefined): number {
  const to = putRun(out.view, at, key)
  if (text !== undefined) return putText(out.bytes, to, text)
  out.bytes[to] = NIL
  return to + 1
}

export function putText(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > SHORT_TEXT) return putLongText(bytes, at, text)
  let to = at + 1
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return putLongText(bytes, at, text)
    bytes[to++] = code
  }
  bytes[at] = 0xa0 | length
  return to
}

function putLongText(bytes: Buffer, at: number, text: string): number {
  /* The head's size depends on the length in bytes, which is guessed from the length in characters. */
  const head = headBytes(text.length)
  const length = bytes.utf8Write(text, at + head)
  const actual = headBytes(length)
  if (actual !== head) bytes.copyWithin(at + actual, at + head, at + head + length)
  putTextHead(bytes, at, length)
  return at + actual + length
}

export function headBytes(length: number): number {
  return length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5
}

export function putTextHead(bytes: Buffer, at: number, length: number): void {
  if (length < 32) bytes[at] = 0xa0 | length
  else if (length < 0x100) {
    bytes[at] = 0xd9
    bytes[at + 1] = length
  } else if (length < 0x1_0000) {
    bytes[at] = 0xda
    bytes[at + 1] = length >>> 8
    bytes[at + 2] = length
  } else {
    bytes[at] = 0xdb
    bytes.writeUInt32BE(length, at + 1)
  }
}

/** `fix`: the code of the short form; `code16`: that of the 16-bit form, the 32-bit form following it. */
export function putLength(bytes: Buffer, at: number, length: number, fix: number, code16: number): number {
  if (length < 16) {
    bytes[at] = fix | length
    return at + 1
  }
  if (length < 0x1_0000) {
    bytes[at] = code16
    bytes.writeUInt16BE(length, at + 1)
    return at + 3
  }
  bytes[at] = code16 + 1
  bytes.writeUInt32BE(length, at + 1)
  return at + 5
}

/** Integers as integers up to 2^53, the rest as float64. */
export function putNumber(bytes: Buffer, at: number, value: number): number {
  if (!Number.isSafeInteger(value)) {
    bytes[at] = 0xcb
    bytes.writeDoubleBE(value, at + 1)
    return at + 9
  }
  return value < 0 ? putNegative(bytes, at, value) : putUnsigned(bytes, at, value)
}

/** A whole number from 0 to 2^53 - 1. */
export function putUnsigned(bytes: Buffer, at: number, value: number): number {
  if (value < 0x80) {
    bytes[at] = value
    return at + 1
  }
  if (value < 0x100) {
    bytes[at] = 0xcc
    bytes[at + 1] = value
    return at + 2
  }
  if (value < 0x1_0000) {
    bytes[at] = 0xcd
    bytes[at + 1] = value >>> 8
    bytes[at + 2] = value
    return at + 3
  }
  if (value < 0x1_0000_0000) {
    bytes[at] = 0xce
    bytes.writeUInt32BE(value, at + 1)
    return at + 5
  }
  bytes[at] = 0xcf
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1)
  bytes.writeUInt32BE(value >>> 0, at + 5)
  return at + 9
}

function putNegative(bytes: Buffer, at: number, value: number): number {
  if (value >= -32) {
    bytes[at] = value & 0xff
    return at + 1
  }
  if (value >= -0x8000_0000) {
    bytes[at] = 0xd2
    bytes.writeInt32BE(value, at + 1)
    return at + 5
  }
  bytes[at] = 0xd3
  bytes.writeBigInt64BE(BigInt(value), at + 1)
  return at + 9
}
