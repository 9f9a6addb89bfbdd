let lastMs = Number.NaN
let lastText = ''

/** RFC 3339 in UTC with milliseconds. Events of one millisecond share the string. */
export function timestampText(epochMs: number): string {
  if (epochMs === lastMs) return lastText
  const date = new Date(epochMs)
  const text = Number.isNaN(date.getTime()) ? '1970-01-01T00:00:00.000Z' : date.toISOString()
  lastMs = epochMs
  lastText = text
  return text
}

/** Epoch milliseconds from RFC 3339 text, decimal text or a number; 0 when it says nothing readable. */
export function timestampMs(value: unknown): number {
  if (typeof value === 'number') return value >= 0 && value < 8.64e15 ? Math.trunc(value) : 0
  if (typeof value !== 'string') return 0
  if (value === lastText) return lastMs
  const epochMs = /^\d+$/.test(value) ? Number(value) : Date.parse(value)
  return epochMs >= 0 && epochMs < 8.64e15 ? epochMs : 0
}
