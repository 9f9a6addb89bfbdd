import type { HeaderList } from '../core/event.ts'

/** The first value of a header in a flat list; `name` in lower case. Undefined when it is absent. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let at = 0; at + 1 < headers.length; at += 2) if (headers[at] === name) return headers[at + 1]
  return undefined
}
