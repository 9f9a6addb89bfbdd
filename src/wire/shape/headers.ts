import type { HeaderList } from '../../core/event.ts'
import { isRecord, malformed, text } from './fields.ts'
import { lowerCaseName } from './header-name.ts'

/** `{name: [values]}`, the form of JSON and MessagePack, from the flat list. Names keep their first place. */
export function headersToMap(headers: HeaderList): Record<string, string[]> {
  const map = Object.create(null) as Record<string, string[]>
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!
    const values = map[name]
    if (values === undefined) map[name] = [headers[i + 1]!]
    else values.push(headers[i + 1]!)
  }
  return map
}

/** The flat list from `{name: [values]}`; a bare string is taken as one value. Names come out lower case. */
export function headersFromMap(value: unknown, what: string): string[] {
  if (!isRecord(value)) throw malformed(what, 'an object', value)
  const headers: string[] = []
  for (const key of Object.keys(value)) {
    const name = lowerCaseName(key)
    const values = value[key]
    if (Array.isArray(values)) for (const entry of values) headers.push(name, text(entry, what))
    else headers.push(name, text(values, what))
  }
  return headers
}

/** Block headers are `{name: value}`: of repeated names the last stays. */
export function singleHeadersToMap(headers: HeaderList): Record<string, string> {
  const map = Object.create(null) as Record<string, string>
  for (let i = 0; i + 1 < headers.length; i += 2) map[headers[i]!] = headers[i + 1]!
  return map
}
