/*
 * Short runs of bytes go eight at a time, as doubles through a DataView: a loop over bytes takes 2.3 ns for each, a
 * call into native code 15 to 60 ns whatever the length, and this 0.3 ns for each. A double keeps its bits unless it
 * is a NaN, for which its last byte must be 0x7f or 0xff and the one before it 0xf0 or more: neither text in ASCII nor
 * keys of MessagePack have these.
 */

/** Bytes that may be written behind the end of what is put: room to reserve. */
export const RUN_SLACK = 8

/** A constant piece of messages. */
export class Run {
  readonly bytes: Uint8Array
  readonly length: number
  /** The bytes, filled up with zeros. */
  readonly words: Float64Array
  /** The last eight bytes. NaN, which equals nothing, when there are fewer. */
  readonly lastWord: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.length = bytes.length
    const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8)
    padded.set(bytes)
    this.words = new Float64Array(padded.buffer)
    const view = new DataView(padded.buffer)
    this.lastWord = bytes.length < 8 ? Number.NaN : view.getFloat64(bytes.length - 8, true)
  }
}

/** The run of a text in ASCII. */
export function runOf(text: string): Run {
  return new Run(Buffer.from(text, 'latin1'))
}

/** Writes a run and returns the index behind it. Up to {@link RUN_SLACK} bytes behind that are written over. */
export function putRun(to: DataView, at: number, run: Run): number {
  const { words } = run
  for (let i = 0, word = at; i < words.length; i++, word += 8) to.setFloat64(word, words[i]!, true)
  return at + run.length
}

/** Copies bytes of ASCII. Up to {@link RUN_SLACK} bytes are read and written behind the end. */
export function copyRun(from: DataView, start: number, length: number, to: DataView, at: number): number {
  const end = at + length
  for (let word = at, next = start; word < end; word += 8, next += 8)
    to.setFloat64(word, from.getFloat64(next, true), true)
  return end
}

/** Whether a run stands at `at`, within what ends at `end`. */
export function hasRun(from: DataView, at: number, end: number, run: Run): boolean {
  const { length, words } = run
  if (end - at < length) return false
  if (length >= 8) {
    const whole = length >> 3
    for (let i = 0, word = at; i < whole; i++, word += 8)
      if (from.getFloat64(word, true) !== words[i]) return false
    return from.getFloat64(at + length - 8, true) === run.lastWord
  }
  for (let i = 0; i < length; i++) if (from.getUint8(at + i) !== run.bytes[i]) return false
  return true
}

/** Whether a stretch of UTF-8 reads the same as Latin-1. */
export function isAsciiRun(from: DataView, start: number, end: number): boolean {
  let bits = 0
  let at = start
  for (; at + 4 <= end; at += 4) bits |= from.getInt32(at, true)
  for (; at < end; at++) bits |= from.getUint8(at)
  return (bits & 0x8080_8080) === 0
}

/** Chunks come from buffers of this size or are buffers of their own; larger ones are not kept alive. */
const MAX_REMEMBERED_BYTES = 64 * 1024
let viewedBytes: Buffer | undefined
let viewOfBytes: DataView = new DataView(new ArrayBuffer(0))

/** A view on received bytes. That of the last chunk is remembered: the frames of one chunk share it. */
export function viewOf(bytes: Buffer): DataView {
  if (bytes === viewedBytes) return viewOfBytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.buffer.byteLength > MAX_REMEMBERED_BYTES) return view
  viewedBytes = bytes
  viewOfBytes = view
  return view
}
