import type { Encoding } from '../codec.ts'
import { salvagedId } from '../shape/events.ts'
import { parsePayload } from './payload.ts'

/** The correlation id of an event that did not decode, '' when there is none to be found. */
export function salvageId(encoding: Encoding, bytes: Buffer, start: number, end: number): string {
  try {
    return salvagedId(parsePayload(encoding, bytes, start, end))
  } catch {
    return ''
  }
}
