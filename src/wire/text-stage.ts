import { copyRun, RUN_SLACK } from './runs.ts'

/*
 * Where the texts of one message become bytes together, in one call into native code, before they are copied to
 * their places one by one. What makes that possible is ASCII, in which characters and bytes are as many: a message with
 * anything else, or a very long one, is not staged, and its texts are encoded in their places. Writing a message makes
 * no calls outside, so one stage serves all.
 */

const BYTES = 16 * 1024
/** Leaves room for three bytes per character, without which UTF-8 is measured before it is written. */
const MAX_CHARACTERS = Math.floor((BYTES - RUN_SLACK) / 3)
const HIGH_BITS = 0x8080_8080
const EIGHT_SPACES = Buffer.from(' '.repeat(8)).readDoubleLE()

const bytes = Buffer.allocUnsafeSlow(BYTES)
const view = new DataView(bytes.buffer)
const words = new Int32Array(bytes.buffer)
let next = 0
let end = 0

/** Takes all texts of a message, in the order in which they will be asked for. False: they are not staged. */
export function stageTexts(texts: string): boolean {
  const { length } = texts
  if (length > MAX_CHARACTERS || bytes.utf8Write(texts, 0) !== length) return false
  next = 0
  end = length
  view.setFloat64(length, EIGHT_SPACES, true)
  return true
}

/** Copies the next text and returns the index behind it. Writes up to {@link RUN_SLACK} bytes beyond. */
export function putNextText(to: DataView, at: number, length: number): number {
  const start = next
  next = start + length
  return copyRun(view, start, length, to, at)
}

export function skipNextText(length: number): void {
  next += length
}

/** Whether all texts stand in JSON as they are. */
export function isStageJson(): boolean {
  const count = (end + 3) >> 2
  let marks = 0
  for (let i = 0; i < count; i++) marks |= jsonMarks(words[i]!)
  return (marks & HIGH_BITS) === 0
}

/** The same for the next text alone. */
export function isNextTextJson(length: number): boolean {
  const behind = next + length
  let at = next
  let marks = 0
  for (; at + 4 <= behind; at += 4) marks |= jsonMarks(view.getInt32(at, true))
  for (; at < behind; at++) marks |= jsonMarks(0x2020_2000 | bytes[at]!)
  return (marks & HIGH_BITS) === 0
}

/** Of four bytes of ASCII: high bits are set when one of them is a control character, a quote or a backslash. */
function jsonMarks(word: number): number {
  return (word - 0x2020_2020) | ((word ^ 0x2222_2222) - 0x0101_0101) | ((word ^ 0x5c5c_5c5c) - 0x0101_0101)
}
