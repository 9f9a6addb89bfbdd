import type { HeaderList } from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { indexOfName, MAX_SCANNED_PAIRS } from '../shape/header-runs.ts'
import { headersToMap } from '../shape/headers.ts'
import { writeJson } from './json-text.ts'
import { writeJsonString } from './json-write.ts'

const COLON = 0x3a
const COMMA = 0x2c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

/** Appends the members of `{name: [values]}`, without the braces, names in the order of their first values. */
export function writeHeaderMembers(headers: HeaderList, out: ByteWriter): void {
  const { length } = headers
  if (length > MAX_SCANNED_PAIRS * 2) {
    writeGrouped(headers, out)
    return
  }
  let isFirst = true
  for (let i = 0; i + 1 < length; i += 2) {
    const name = headers[i]!
    if (indexOfName(headers, name, 0, i) >= 0) continue
    if (!isFirst) writePunctuation(COMMA, out)
    isFirst = false
    writeJsonString(name, out)
    out.reserve(2)
    out.bytes[out.end] = COLON
    out.bytes[out.end + 1] = OPEN_BRACKET
    out.end += 2
    writeJsonString(headers[i + 1]!, out)
    let next = indexOfName(headers, name, i + 2, length - 1)
    while (next >= 0) {
      writePunctuation(COMMA, out)
      writeJsonString(headers[next + 1]!, out)
      next = indexOfName(headers, name, next + 2, length - 1)
    }
    writePunctuation(CLOSE_BRACKET, out)
  }
}

function writePunctuation(byte: number, out: ByteWriter): void {
  out.reserve(1)
  out.bytes[out.end++] = byte
}

function writeGrouped(headers: HeaderList, out: ByteWriter): void {
  const start = out.end
  writeJson(headersToMap(headers), out)
  /* Off with the braces. */
  out.bytes.copyWithin(start, start + 1, out.end - 1)
  out.end -= 2
}
