import type { ByteWriter } from '../byte-writer.ts'
import type { Encoding } from '../codec.ts'
import { unwritable } from '../write-errors.ts'
import { parseJson, writeJson } from './json-text.ts'
import { parseMsgpack } from './msgpack-read.ts'
import { writeMsgpack } from './msgpack-write.ts'
import { beginFrame, endFrame } from './write-frame.ts'

const OPENING_BRACE = 0x7b

/** Appends one frame around a plain value. @throws WeirError with `sent: false`; `out` is then as before. */
export function writePlainFrame(
  type: number,
  value: unknown,
  encoding: Encoding,
  maxPayloadBytes: number,
  out: ByteWriter,
): void {
  const start = beginFrame(out)
  try {
    if (encoding === 'json') writeJson(value, out)
    else writeMsgpack(value, out)
    endFrame(out, start, type, maxPayloadBytes)
  } catch (thrown) {
    out.end = start
    throw unwritable(thrown)
  }
}

/** @throws WeirError PROTOCOL_ERROR */
export function parsePayload(encoding: Encoding, bytes: Buffer, start: number, end: number): unknown {
  return encoding === 'json' ? parseJson(bytes, start, end) : parseMsgpack(bytes, start, end)
}

/** Cancel, ping and pong are JSON whatever was negotiated, but a peer may follow the negotiation. */
export function parseControl(encoding: Encoding, bytes: Buffer, start: number, end: number): unknown {
  const isJson = encoding === 'json' || (start < end && bytes[start] === OPENING_BRACE)
  return isJson ? parseJson(bytes, start, end) : parseMsgpack(bytes, start, end)
}
