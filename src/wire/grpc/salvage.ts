import { ProtoCursor } from './proto-cursor.ts'

const FIRST_FIELD_TAG = 0x0a
const cursor = new ProtoCursor()

/**
 * The correlation id of a message that did not decode, '' when it is not where writers put it: first in its event
 * or reply, in a request-headers event first in the metadata, which come first.
 */
export function salvageId(payload: Buffer, isInMetadata: boolean): string {
  cursor.open(payload, 0)
  const end = payload.length
  cursor.varint(end)
  cursor.varint(end)
  const id = isInMetadata && !enters(end) ? '' : firstText(end)
  const isOff = cursor.isOff
  cursor.close()
  return isOff ? '' : id
}

function enters(end: number): boolean {
  if (cursor.isOff || cursor.varint(end) !== FIRST_FIELD_TAG) return false
  cursor.varint(end)
  return true
}

function firstText(end: number): string {
  return cursor.isOff || cursor.varint(end) !== FIRST_FIELD_TAG ? '' : cursor.string(end)
}
