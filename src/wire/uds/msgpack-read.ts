import { Unpackr } from 'msgpackr'
import { WeirError } from '../../core/errors.ts'
import { skipValue } from './msgpack-scan.ts'

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' })

/**
 * One plain value: maps become objects (of repeated keys the last stays), bin becomes bytes.
 * @throws WeirError PROTOCOL_ERROR when it is not exactly one well-formed value.
 */
export function parseMsgpack(bytes: Buffer, start: number, end: number): unknown {
  if (skipValue(bytes, start, end) !== end) throw new WeirError('PROTOCOL_ERROR', 'not MessagePack')
  try {
    return unpackr.unpack(bytes.subarray(start, end)) as unknown
  } catch (thrown) {
    throw new WeirError('PROTOCOL_ERROR', `not MessagePack: ${(thrown as Error).message}`, { cause: thrown })
  }
}
