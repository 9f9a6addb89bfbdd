/** Digits of a payment card number, ISO/IEC 7812-1. */
const MIN_DIGITS = 13
const MAX_DIGITS = 19
/** Digits that stay readable. */
const VISIBLE = 4

/** Digits with single blanks or dashes between them; long enough to hold a card number. */
const CANDIDATE = /\d(?:[ -]?\d){12,}/g

/** Replaces the digits of card numbers, but the last four, by stars. Same length as before. */
export function maskCardNumbers(text: string): string {
  return text.replace(CANDIDATE, maskRun)
}

function maskRun(run: string): string {
  const at = [...run.matchAll(/\d/g)].map((match) => match.index)
  const masked = run.split('')
  for (let start = 0; start + MIN_DIGITS <= at.length; ) {
    const length = startsGroup(at, start) ? cardLength(run, at, start) : 0
    for (let i = start; i < start + length - VISIBLE; i++) masked[at[i]!] = '*'
    start += Math.max(1, length)
  }
  return masked.join('')
}

/** Length of the longest card number that begins here and ends with a group; 0: none. */
function cardLength(run: string, at: readonly number[], start: number): number {
  for (let length = Math.min(MAX_DIGITS, at.length - start); length >= MIN_DIGITS; length--) {
    if (!startsGroup(at, start + length)) continue
    const digits = at.slice(start, start + length).map((index) => Number(run[index]))
    if (passesLuhn(digits)) return length
  }
  return 0
}

/** A number never begins or ends inside a group of digits. */
function startsGroup(at: readonly number[], index: number): boolean {
  return index === 0 || index === at.length || at[index]! - at[index - 1]! > 1
}

/** Check digit of ISO/IEC 7812-1 annex B. */
function passesLuhn(digits: readonly number[]): boolean {
  let sum = 0
  for (const [index, digit] of digits.entries()) {
    const isDoubled = (digits.length - index) % 2 === 0
    const value = isDoubled ? digit * 2 : digit
    sum += value > 9 ? value - 9 : value
  }
  return sum % 10 === 0 && digits.some((digit) => digit !== 0)
}
