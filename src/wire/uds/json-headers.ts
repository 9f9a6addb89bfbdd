import type { HeaderList } from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putRun, runOf } from '../runs.ts'
import { endOfRun } from '../shape/header-runs.ts'
import { putStaged, skipStaged } from './json-write.ts'

const FIRST_NAME = runOf('"')
const NEXT_NAME = runOf('"],"')
const FIRST_VALUE = runOf('":["')
const NEXT_VALUE = runOf('","')
const END = runOf('"]')
/** Around each name and value at most. */
export const BYTES_PER_FIELD = NEXT_NAME.length + FIRST_VALUE.length

/** Writes the members of `{name: [values]}`, without the braces, from a list in runs whose texts are staged. */
export function putHeaders(out: ByteWriter, start: number, headers: HeaderList): number {
  const { length } = headers
  const { view } = out
  if (length === 0) return start
  let at = start
  for (let i = 0; i < length; ) {
    const end = endOfRun(headers, i)
    at = putRun(view, at, i === 0 ? FIRST_NAME : NEXT_NAME)
    at = putStaged(out, at, headers[i]!)
    at = putRun(view, at, FIRST_VALUE)
    at = putStaged(out, at, headers[i + 1]!)
    for (i += 2; i < end; i += 2) {
      skipStaged(headers[i]!)
      at = putStaged(out, putRun(view, at, NEXT_VALUE), headers[i + 1]!)
    }
  }
  return putRun(view, at, END)
}
