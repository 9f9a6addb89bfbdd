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

/** What a request must begin with (RFC 9113, section 8.3.1); its authority is optional. */
const REQUIRED: readonly string[] = [':method', ':scheme', ':path']
const KNOWN: readonly string[] = [...REQUIRED, ':authority']

/** Fields that no request may have: unknown or late pseudo-headers, names in capitals (sections 8.2 and 8.3). */
export function isMalformedRequest(fields: readonly Field[]): boolean {
  const seen = new Set<string>()
  let hasRegular = false
  for (const [name] of fields) {
    if (name.startsWith(':')) {
      if (hasRegular || seen.has(name) || !KNOWN.includes(name)) return true
      seen.add(name)
    } else {
      hasRegular = true
      if (name === '' || name === 'connection' || name !== name.toLowerCase()) return true
    }
  }
  return REQUIRED.some((name) => !seen.has(name))
}
