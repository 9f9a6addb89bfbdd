import { WeirError } from '../../core/errors.ts'
import type { ByteWriter } from '../byte-writer.ts'

/** Appends a value as JSON. */
export function writeJson(value: unknown, out: ByteWriter): void {
  const text = jsonText(value)
  out.reserve(text.length * 3)
  out.end += out.bytes.write(text, out.end, 'utf8')
}

/**
 * A value as JSON. Lone surrogates become U+FFFD, as in every other encoding: peers take an escaped one for a malformed
 * message, and a malformed event may pass uninspected there.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return text.includes('\\ud') ? text.replace(LONE_SURROGATE, '$1\ufffd') : text
}

/** `JSON.stringify` escapes nothing else in this form; an even run of backslashes before it is text. */
const LONE_SURROGATE = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g

/** @throws WeirError PROTOCOL_ERROR */
export function parseJson(bytes: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) as unknown
  } catch (thrown) {
    throw new WeirError('PROTOCOL_ERROR', `not JSON: ${(thrown as Error).message}`, { cause: thrown })
  }
}
