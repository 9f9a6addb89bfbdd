import type { HeaderList } from '../../../src/core/event.ts'

/** First value of a header, by its lower-case name. */
export function headerOf(headers: HeaderList, name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i] === name) return headers[i + 1]
  return undefined
}
