import { WeirError } from '../core/errors.ts'
import { jsonMarks, MARK_BITS } from './json-marks.ts'
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

/**
 * Called when the message is written. A slip between the texts that were staged and those that were put would move each
 * into its neighbour's place, in a message that looks well.
 * @throws WeirError INTERNAL unless all staged texts were put, and nothing beyond them
 */
export function checkStageSpent(): void {
  if (next !== end)
    throw new WeirError('INTERNAL', `${end} characters of texts were staged and ${next} put`, { sent: false })
}

/** Whether all texts stand in JSON as they are. */
export function isStageJson(): boolean {
  const count = (end + 3) >> 2
  let marks = 0
  for (let i = 0; i < count; i++) marks |= jsonMarks(words[i]!)
  return (marks & MARK_BITS) === 0
}

/** The same for the next text alone. */
export function isNextTextJson(length: number): boolean {
  const behind = next + length
  let at = next
  let marks = 0
  for (; at + 4 <= behind; at += 4) marks |= jsonMarks(view.getInt32(at, true))
  for (; at < behind; at++) marks |= jsonMarks(0x2020_2000 | bytes[at]!)
  return (marks & MARK_BITS) === 0
}
