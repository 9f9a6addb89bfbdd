/*
 * Both directions remember the last second or millisecond they met, because events come in the order of time and
 * dates are slow to format and to parse.
 */
let writtenMs = Number.NaN
let writtenText = ''
/** `2026-11-21T12:00:00.`, the start of every timestamp of one second, and what it stands for. */
let readSecond = '?'
let readSecondMs = 0
let otherText = ''
let otherMs = 0

/** Largest instant that a date can hold, milliseconds from the Unix epoch. */
const MAX_EPOCH_MS = 8.64e15
const DECIMAL = /^\d+$/
/** `Date.parse` takes much else for a date. */
const DATE = /^\d{4}-\d\d-\d\d[Tt ]/
const SECOND_LENGTH = 20
const FULL_LENGTH = 24
const MAX_REMEMBERED = 64

/** RFC 3339 in UTC with milliseconds; the epoch for what is no instant. */
export function timestampText(epochMs: number): string {
  if (epochMs === writtenMs) return writtenText
  const instant = epochMs >= 0 && epochMs <= MAX_EPOCH_MS ? epochMs : 0
  writtenText = new Date(instant).toISOString()
  writtenMs = epochMs
  return writtenText
}

/** Epoch milliseconds from RFC 3339 text, decimal text or a number; 0 when it says nothing readable. */
export function timestampMs(value: unknown): number {
  if (typeof value === 'number') return held(Math.trunc(value))
  if (typeof value !== 'string') return 0
  if (value.length !== FULL_LENGTH || value.charCodeAt(FULL_LENGTH - 1) !== 0x5a) {
    return otherTimestampMs(value)
  }
  const millis = value.startsWith(readSecond) ? threeDigits(value, SECOND_LENGTH) : -1
  if (millis >= 0) return readSecondMs + millis
  const epochMs = DATE.test(value) ? held(Date.parse(value)) : 0
  const written = threeDigits(value, SECOND_LENGTH)
  if (epochMs > 0 && written >= 0 && epochMs % 1000 === written) {
    readSecond = value.substring(0, SECOND_LENGTH)
    readSecondMs = epochMs - written
  }
  return epochMs
}

/** Other precisions and offsets; proxies that send whole seconds repeat the same text. */
function otherTimestampMs(text: string): number {
  if (text === otherText) return otherMs
  const epochMs = DECIMAL.test(text) ? Number(text) : DATE.test(text) ? Math.trunc(Date.parse(text)) : 0
  if (text.length > MAX_REMEMBERED) return held(epochMs)
  otherText = text
  otherMs = held(epochMs)
  return otherMs
}

function held(epochMs: number): number {
  return epochMs >= 0 && epochMs <= MAX_EPOCH_MS ? epochMs : 0
}

/** -1 when they are not three digits. */
function threeDigits(text: string, at: number): number {
  const a = text.charCodeAt(at) - 0x30
  const b = text.charCodeAt(at + 1) - 0x30
  const c = text.charCodeAt(at + 2) - 0x30
  return a >= 0 && a <= 9 && b >= 0 && b <= 9 && c >= 0 && c <= 9 ? a * 100 + b * 10 + c : -1
}
