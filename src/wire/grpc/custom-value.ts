/*
 * gRPC's audit values are strings. Peers put JSON text in them, so that a string arrives in quotes; ours stand
 * without, except where that would read back as something else.
 */

/** What `audit.custom` holds for a value. */
export function customText(value: unknown): string {
  if (typeof value === 'string') return customValue(value) === value ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? 'null'
}

/** The value that a text in `audit.custom` stands for: JSON if it is JSON, else the text itself. */
export function customValue(text: string): unknown {
  if (!JSON_START.test(text)) return text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

const JSON_START = /^\s*["{[\d\-tfn]/
