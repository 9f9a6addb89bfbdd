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

/** What HTTP/1.1 says of one connection, and HTTP/2 by other means (section 8.2.2). */
const OF_ONE_CONNECTION: readonly string[] = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]

/** Has fields that no request may have: unknown or late pseudo-headers, or any that are forbidden everywhere. */
export function isMalformedRequest(fields: readonly Field[]): boolean {
  const seen = new Set<string>()
  let hasRegular = false
  for (const [name, value] of fields) {
    if (name.startsWith(':')) {
      if (hasRegular || seen.has(name) || !KNOWN.includes(name)) return true
      seen.add(name)
    } else {
      hasRegular = true
      if (isForbidden(name, value)) return true
    }
  }
  return REQUIRED.some((name) => !seen.has(name))
}

/** Has fields that no trailers may have, pseudo-headers among them (RFC 9113, section 8.1). */
export function areMalformedTrailers(fields: readonly Field[]): boolean {
  return fields.some(([name, value]) => name.startsWith(':') || isForbidden(name, value))
}

/** Names in capitals or of nothing, and fields of one connection; `te` may only say that trailers are understood. */
function isForbidden(name: string, value: string): boolean {
  if (name === 'te') return value.toLowerCase() !== 'trailers'
  return name === '' || name !== name.toLowerCase() || OF_ONE_CONNECTION.includes(name)
}
