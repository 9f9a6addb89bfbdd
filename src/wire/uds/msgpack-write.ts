import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { SHORT_TEXT } from '../native-text.ts'

/* Deeper values are refused, as peers' decoders refuse them. */
const MAX_DEPTH = 128

/**
 * Appends a plain value as MessagePack: string-keyed maps, integers as integers up to 2^53, the rest as float64.
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

/** `fix`: the code of the short form; `code16`: that of the 16-bit form, the 32-bit form following it. */
export function writeLength(length: number, fix: number, code16: number, out: ByteWriter): void {
  out.reserve(5)
  const { bytes } = out
  if (length < 16) bytes[out.end++] = fix | length
  else if (length < 0x1_0000) {
    bytes[out.end] = code16
    bytes.writeUInt16BE(length, out.end + 1)
    out.end += 3
  } else {
    bytes[out.end] = code16 + 1
    bytes.writeUInt32BE(length, out.end + 1)
    out.end += 5
  }
}

export function writeNumber(value: number, out: ByteWriter): void {
  out.reserve(9)
  const { bytes } = out
  const at = out.end
  if (!Number.isSafeInteger(value)) {
    bytes[at] = 0xcb
    bytes.writeDoubleBE(value, at + 1)
    out.end = at + 9
  } else if (value >= 0) {
    if (value < 0x80) {
      bytes[at] = value
      out.end = at + 1
    } else if (value < 0x100) {
      bytes[at] = 0xcc
      bytes[at + 1] = value
      out.end = at + 2
    } else if (value < 0x1_0000) {
      bytes[at] = 0xcd
      bytes.writeUInt16BE(value, at + 1)
      out.end = at + 3
    } else if (value < 0x1_0000_0000) {
      bytes[at] = 0xce
      bytes.writeUInt32BE(value, at + 1)
      out.end = at + 5
    } else {
      bytes[at] = 0xcf
      bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1)
      bytes.writeUInt32BE(value >>> 0, at + 5)
      out.end = at + 9
    }
  } else if (value >= -32) {
    bytes[at] = value & 0xff
    out.end = at + 1
  } else if (value >= -0x8000_0000) {
    bytes[at] = 0xd2
    bytes.writeInt32BE(value, at + 1)
    out.end = at + 5
  } else {
    bytes[at] = 0xd3
    bytes.writeBigInt64BE(BigInt(value), at + 1)
    out.end = at + 9
  }
}

export function writeText(text: string, out: ByteWriter): void {
  const { length } = text
  out.reserve(5 + length * 3)
  const { bytes } = out
  const at = out.end
  if (length <= SHORT_TEXT) {
    let to = at + 1
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        writeLongText(text, out)
        return
      }
      bytes[to++] = code
    }
    bytes[at] = 0xa0 | length
    out.end = to
    return
  }
  writeLongText(text, out)
}

function writeLongText(text: string, out: ByteWriter): void {
  const { bytes } = out
  const at = out.end
  /* The head's size depends on the length in bytes, which is guessed from the length in characters. */
  const head = headBytes(text.length)
  const length = bytes.utf8Write(text, at + head)
  const actual = headBytes(length)
  if (actual !== head) bytes.copyWithin(at + actual, at + head, at + head + length)
  putTextHead(bytes, at, length)
  out.end = at + actual + length
}

export function headBytes(length: number): number {
  return length < 32 ? 1 : length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5
}

export function putTextHead(bytes: Buffer, at: number, length: number): void {
  if (length < 32) bytes[at] = 0xa0 | length
  else if (length < 0x100) {
    bytes[at] = 0xd9
    bytes[at + 1] = length
  } else if (length < 0x1_0000) {
    bytes[at] = 0xda
    bytes.writeUInt16BE(length, at + 1)
  } else {
    bytes[at] = 0xdb
    bytes.writeUInt32BE(length, at + 1)
  }
}
