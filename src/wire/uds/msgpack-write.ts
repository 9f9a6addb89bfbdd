import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { HEAD_BYTES, putLength, putNumber, putText } from './msgpack-put.ts'

/* Deeper values are refused, as peers' decoders refuse them. */
const MAX_DEPTH = 128

/**
 * Appends a plain value as MessagePack: string-keyed maps, numbers as `putNumber` has them.
 * @throws WeirError INVALID_ARGUMENT when it nests too deep.
 */
export function writeMsgpack(value: unknown, out: ByteWriter, depth = 0): void {
  switch (typeof value) {
    case 'string':
      writeText(value, out)
      return
    case 'number':
      writeNumber(value, out)
      return
    case 'boolean':
      writeByte(value ? 0xc3 : 0xc2, out)
      return
    case 'bigint':
      writeNumber(Number(value), out)
      return
    case 'object':
      if (value !== null) {
        writeObject(value, out, depth)
        return
      }
      break
    default:
      break
  }
  writeByte(0xc0, out)
}

function writeObject(value: object, out: ByteWriter, depth: number): void {
  if (depth >= MAX_DEPTH) {
    throw new WeirError('INVALID_ARGUMENT', `a value nests deeper than ${MAX_DEPTH} levels`, { sent: false })
  }
  if (Array.isArray(value)) {
    writeLength(value.length, 0x90, 0xdc, out)
    for (const entry of value) writeMsgpack(entry, out, depth + 1)
    return
  }
  const fields = value as Readonly<Record<string, unknown>>
  const keys = Object.keys(fields).filter((key) => fields[key] !== undefined)
  writeLength(keys.length, 0x80, 0xde, out)
  for (const key of keys) {
    writeText(key, out)
    writeMsgpack(fields[key], out, depth + 1)
  }
}

function writeByte(byte: number, out: ByteWriter): void {
  out.reserve(1)
  out.bytes[out.end++] = byte
}

function writeLength(length: number, fix: number, code16: number, out: ByteWriter): void {
  out.reserve(HEAD_BYTES)
  out.end = putLength(out.bytes, out.end, length, fix, code16)
}

function writeNumber(value: number, out: ByteWriter): void {
  out.reserve(HEAD_BYTES)
  out.end = putNumber(out.bytes, out.end, value)
}

function writeText(text: string, out: ByteWriter): void {
  out.reserve(HEAD_BYTES + text.length * 3)
  out.end = putText(out.bytes, out.end, text)
}
