import type { Field } from '../h2/static-table.ts'

/** Headers of a call by name; several of one name are one, as HTTP has it. */
export type CallHeaders = Readonly<Record<string, string | undefined>>

export function headersOf(fields: readonly Field[]): CallHeaders {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of fields) {
    const known = headers[name]
    headers[name] = known === undefined ? value : `${known}, ${value}`
  }
  return headers
}
