import type { HeaderList } from '../../core/event.ts'

/** Longer lists are grouped by a map: looking for repeats pair by pair would be quadratic. */
export const MAX_SCANNED_PAIRS = 48

/** Where in `headers[from..before)` the name stands, or -1. Both bounds are even. */
export function indexOfName(headers: HeaderList, name: string, from: number, before: number): number {
  const { length } = name
  for (let i = from; i < before; i += 2) {
    const other = headers[i]!
    if (other.length === length && other === name) return i
  }
  return -1
}

export function countOfName(headers: HeaderList, name: string, from: number): number {
  let count = 0
  const before = headers.length - 1
  for (let i = indexOfName(headers, name, from, before); i >= 0; ) {
    count++
    i = indexOfName(headers, name, i + 2, before)
  }
  return count
}
