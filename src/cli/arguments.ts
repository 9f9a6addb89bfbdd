import { InvalidArgumentError } from 'commander'

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `90s`, `15m`, `2h` in milliseconds. @throws InvalidArgumentError */
export function durationMs(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? []
  const value = Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN)
  if (!(value > 0)) throw new InvalidArgumentError('expected a duration such as 90s, 15m or 2h')
  return value
}

/** Parses a whole number of a range. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${most}`)
  }
}

/** Query of a URL from what is defined; empty without any. */
export function queryOf(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(values))
    if (value !== undefined && value !== false) query.set(name, String(value))
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

/** One segment of a path. */
export function segment(text: string): string {
  return encodeURIComponent(text)
}
