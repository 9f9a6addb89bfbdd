import type { ByteWriter } from '../byte-writer.ts'
import { SHORT_TEXT } from '../native-text.ts'
import { putRun, RUN_SLACK, type Run, runOf } from '../runs.ts'
import {
  checkStageSpent,
  isNextTextJson,
  isStageJson,
  putNextText,
  skipNextText,
  stageTexts,
} from '../text-stage.ts'
import { jsonText } from './json-text.ts'

/*
 * JSON written through `(out, at) -> at behind it`, into room made beforehand.
 */

const QUOTE = 0x22
const BACKSLASH = 0x5c
/** Bytes per character at most: a control character becomes `\u001f`. */
const GROWTH = 6
/** Bytes that a number takes at most. */
export const DECIMAL_BYTES = 16

/** A member's name and colon, with what stands before them. */
export interface Key {
  readonly ofText: Run
  readonly ofNull: Run
}

export function keyOf(text: string): Key {
  return { ofText: runOf(`${text}"`), ofNull: runOf(`${text}null`) }
}

/* Of the message that is being written. Writing makes no calls outside. */
let isStaged = false
let isPlain = false

/**
 * Makes room for a message of so many fixed bytes and of texts, which are staged in the order in which they will be put,
 * and returns where it starts.
 */
export function beginStaged(out: ByteWriter, fixedBytes: number, texts: string): number {
  isStaged = stageTexts(texts)
  isPlain = isStaged && isStageJson()
  out.reserve(fixedBytes + texts.length * (isPlain ? 1 : GROWTH) + RUN_SLACK)
  return out.end
}

/** Ends at `at` what {@link beginStaged} began. @throws WeirError INTERNAL when its texts were not those that were put. */
export function endStaged(out: ByteWriter, at: number): void {
  if (isStaged) checkStageSpent()
  out.end = at
}

/** As {@link beginStaged}, for a message whose only text, of so many characters, is not worth staging. */
export function begin(out: ByteWriter, fixedBytes: number, characters: number): number {
  out.reserve(fixedBytes + characters * GROWTH + RUN_SLACK)
  return out.end
}

/** Writes the next staged text as it stands between quotes. */
export function putStaged(out: ByteWriter, at: number, text: string): number {
  return isPlain ? putNextText(out.view, at, text.length) : putAwkward(out, at, text)
}

function putAwkward(out: ByteWriter, at: number, text: string): number {
  const { length } = text
  if (!isStaged) return putText(out.bytes, at, text)
  if (isNextTextJson(length)) return putNextText(out.view, at, length)
  skipNextText(length)
  return putQuoting(out.bytes, at, text)
}

/** Writes ASCII with quotes, as entity tags and client hints have them. */
function putQuoting(bytes: Buffer, at: number, text: string): number {
  let to = at
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20) return putEscaped(bytes, at, text)
    if (code === QUOTE || code === BACKSLASH) bytes[to++] = BACKSLASH
    bytes[to++] = code
  }
  return to
}

/** Passes over a staged text that is not wanted. */
export function skipStaged(text: string): void {
  skipNextText(text.length)
}

/** Writes a member whose text, if it has one, is the next that is staged; `null` otherwise. */
export function putStagedMember(out: ByteWriter, at: number, key: Key, text: string | undefined): number {
  if (text === undefined) return putRun(out.view, at, key.ofNull)
  const end = putStaged(out, putRun(out.view, at, key.ofText), text)
  out.bytes[end] = QUOTE
  return end + 1
}

/** Writes a member whose text is not staged. */
export function putMember(out: ByteWriter, at: number, key: Key, text: string | undefined): number {
  if (text === undefined) return putRun(out.view, at, key.ofNull)
  const end = putText(out.bytes, putRun(out.view, at, key.ofText), text)
  out.bytes[end] = QUOTE
  return end + 1
}

function putText(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  if (length <= SHORT_TEXT) {
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH)
        return putEscaped(bytes, at, text)
      bytes[at + i] = code
    }
    return at + length
  }
  const end = at + bytes.utf8Write(text, at)
  for (let i = at; i < end; i++) {
    const code = bytes[i]!
    if (code < 0x20 || code === QUOTE || code === BACKSLASH) return putEscaped(bytes, at, text)
  }
  return end
}

function putEscaped(bytes: Buffer, at: number, text: string): number {
  return at + bytes.utf8Write(jsonText(text).slice(1, -1), at)
}

/** Writes an integer from 0 to 2^53 - 1 in decimal. */
export function putDecimal(bytes: Buffer, at: number, value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit && digits < DECIMAL_BYTES; limit *= 10) digits++
  const end = at + digits
  let to = end
  let rest = value
  while (rest > 0x7fff_ffff) {
    const next = Math.floor(rest / 10)
    bytes[--to] = 0x30 + (rest - next * 10)
    rest = next
  }
  for (let small = rest | 0; to > at; small = (small / 10) | 0) bytes[--to] = 0x30 + (small % 10)
  return end
}
