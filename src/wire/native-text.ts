/*
 * Node's own text methods of buffers, without the argument handling of `write` and `toString`. They are not in the
 * documentation, but every version has them and serializers in wide use rely on them.
 */
declare global {
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> extends Uint8Array<TArrayBuffer> {
    /** Lone surrogates become U+FFFD. Returns the bytes written. */
    utf8Write(text: string, at: number): number
    utf8Slice(start: number, end: number): string
    latin1Slice(start: number, end: number): string
    latin1Write(text: string, at: number): number
    base64Slice(start: number, end: number): string
  }
}

/** Up to this many characters a loop in JavaScript beats the call into native code. */
export const SHORT_TEXT = 18

/**
 * Writes text as UTF-8 and returns the index behind it. The caller has made room for three bytes per character.
 */
export function putText(bytes: Buffer, at: number, text: string): number {
  const { length } = text
  if (length > SHORT_TEXT) return at + bytes.utf8Write(text, at)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return at + bytes.utf8Write(text, at)
    bytes[at + i] = code
  }
  return at + length
}
