import { Unpackr } from 'msgpackr'
import { WeirError } from '../../core/errors.ts'
import { put } from '../shape/fields.ts'
import { skipValue } from './msgpack-scan.ts'

/* As maps, because the unpacker's own objects lose the key `__proto__`. */
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: false, int64AsType: 'number' })

/**
 * One plain value: maps become objects (of repeated keys the last stays), bin becomes bytes.
 * @throws WeirError PROTOCOL_ERROR when it is not exactly one well-formed value.
 */
export function parseMsgpack(bytes: Buffer, start: number, end: number): unknown {
  if (skipValue(bytes, start, end) !== end) throw new WeirError('PROTOCOL_ERROR', 'not MessagePack')
  try {
    return withoutMaps(unpackr.unpack(bytes.subarray(start, end)))
  } catch (thrown) {
    throw new WeirError('PROTOCOL_ERROR', `not MessagePack: ${(thrown as Error).message}`, { cause: thrown })
  }
}

/** The scan before has bounded the depth. */
function withoutMaps(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value as unknown[]
    for (let i = 0; i < list.length; i++) list[i] = withoutMaps(list[i])
    return list
  }
  if (!(value instanceof Map)) return value
  const object: Record<string, unknown> = {}
  for (const [key, member] of value as ReadonlyMap<unknown, unknown>) {
    if (typeof key === 'string' || typeof key === 'number') put(object, String(key), withoutMaps(member))
  }
  return object
}
