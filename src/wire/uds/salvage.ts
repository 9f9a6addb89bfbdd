import type { Encoding } from '../codec.ts'
import { MsgpackCursor } from './msgpack-cursor.ts'
import { ID_KEY, METADATA_KEY } from './msgpack-keys.ts'
import { skipValue } from './msgpack-scan.ts'

/**
 * The correlation id of an event that did not decode, '' when there is none: the first string that is not empty
 * under `correlation_id` at the top, else the one in `metadata`. Works on payloads that break off or break rules,
 * as far as they go, because an event whose id is known can be answered at once instead of timing out.
 */
export function salvageId(encoding: Encoding, bytes: Buffer, start: number, end: number): string {
  return encoding === 'json'
    ? salvageFromJson(bytes.utf8Slice(start, end))
    : salvageFromMsgpack(bytes, start, end)
}

/** What encloses a place in the text, innermost last. `key`: the one that the container stands under. */
interface Container {
  readonly isMap: boolean
  readonly key: string
}

/**
 * Strings, brackets and colons are enough to know keys and depth; everything else is passed over. A string that
 * never ends takes the rest in one step: tried again at each quote inside it, a payload of escaped quotes would
 * cost the square of its length.
 */
const TOKEN = /"([^"\\]*(?:\\[\s\S][^"\\]*)*)(?:(")(\s*:)?|\\?$)|[{}[\],]/g

function salvageFromJson(text: string): string {
  const containers: Container[] = []
  let key = ''
  let inMetadata = ''
  TOKEN.lastIndex = 0
  for (let found = TOKEN.exec(text); found !== null; found = TOKEN.exec(text)) {
    const [token, content, closing, colon] = found
    if (token === '{' || token === '[') {
      containers.push({ isMap: token === '{', key })
      key = ''
    } else if (token === '}' || token === ']') {
      containers.pop()
      key = ''
    } else if (token === ',') key = ''
    else if (closing === undefined) break
    else if (colon !== undefined) key = content ?? ''
    else if (key === 'correlation_id' && content !== undefined && content !== '') {
      const owner = containers.at(-1)
      if (owner?.isMap === true && containers.length === 1) return unescaped(content)
      if (owner?.isMap === true && containers.length === 2 && owner.key === 'metadata' && inMetadata === '') {
        inMetadata = unescaped(content)
      }
    }
  }
  return inMetadata
}

function unescaped(content: string): string {
  try {
    return JSON.parse(`"${content}"`) as string
  } catch {
    return ''
  }
}

const cursor = new MsgpackCursor()

function salvageFromMsgpack(bytes: Buffer, start: number, end: number, isOutermost = true): string {
  const entries = openMap(bytes, start, end)
  let at = cursor.at
  let inMetadata = ''
  for (let i = 0; i < entries && at < end; i++) {
    cursor.openAt(bytes, at, end)
    if (cursor.skip(ID_KEY)) {
      const id = cursor.string()
      if (id !== null && id !== '') return id
    } else if (isOutermost && inMetadata === '' && cursor.skip(METADATA_KEY)) {
      inMetadata = salvageFromMsgpack(bytes, cursor.at, end, false)
    }
    const value = skipValue(bytes, at, end)
    at = value < 0 ? -1 : skipValue(bytes, value, end)
    if (at < 0) break
  }
  cursor.close()
  return inMetadata
}

/** Entries of the map at `start`, the cursor behind its head; 0 when it is no map. */
function openMap(bytes: Buffer, start: number, end: number): number {
  cursor.openAt(bytes, start, end)
  return Math.max(0, cursor.entries(0x80, 0xde))
}
