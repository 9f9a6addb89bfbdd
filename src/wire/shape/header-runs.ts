import type { HeaderList } from '../../core/event.ts'
import { headersToMap } from './headers.ts'

/** Longer lists are grouped by a map: looking for repeats pair by pair would be quadratic. */
const MAX_SCANNED_PAIRS = 48

/**
 * The fields with those of one name behind one another, in the order of their first values: what a map of values is
 * written from, run by run. The list itself when it is so already, as nearly all are.
 */
export function inRuns(headers: HeaderList): HeaderList {
  const pairs = headers.length >> 1
  if (pairs > MAX_SCANNED_PAIRS) return fromMap(headers)
  for (let i = 4; i < pairs * 2; i += 2) {
    if (!isSame(headers[i]!, headers[i - 2]!) && hasName(headers, headers[i]!, i - 2))
      return regrouped(headers)
  }
  return headers.length === pairs * 2 ? headers : headers.slice(0, -1)
}

/** Where the fields of the same name end that begin at `start`. */
export function endOfRun(headers: HeaderList, start: number): number {
  const name = headers[start]!
  let end = start + 2
  while (end < headers.length && isSame(headers[end]!, name)) end += 2
  return end
}

export function countRuns(headers: HeaderList): number {
  let runs = 0
  for (let i = 0; i < headers.length; i += 2) if (i === 0 || !isSame(headers[i]!, headers[i - 2]!)) runs++
  return runs
}

/** Names and values in one string. */
export function joinedTexts(headers: HeaderList): string {
  let texts = ''
  for (let i = 0; i < headers.length; i++) texts += headers[i]!
  return texts
}

/** Most names differ in length already, and asking for it is cheaper than comparing. */
function isSame(a: string, b: string): boolean {
  return a.length === b.length && a === b
}

function hasName(headers: HeaderList, name: string, before: number): boolean {
  for (let i = 0; i < before; i += 2) if (isSame(headers[i]!, name)) return true
  return false
}

function regrouped(headers: HeaderList): HeaderList {
  const list: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!
    if (hasName(headers, name, i)) continue
    for (let n = i; n + 1 < headers.length; n += 2) if (headers[n] === name) list.push(name, headers[n + 1]!)
  }
  return list
}

function fromMap(headers: HeaderList): HeaderList {
  const map = headersToMap(headers)
  const list: string[] = []
  for (const name of Object.keys(map)) for (const value of map[name]!) list.push(name, value)
  return list
}
