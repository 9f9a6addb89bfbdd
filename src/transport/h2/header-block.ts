import { FLAG, FRAME } from './frames.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** CONTINUATION frames of one block; peers that honour the frame size need few. */
const MAX_CONTINUATIONS = 32

/** Gathers one header block from HEADERS and the CONTINUATION frames behind it (RFC 9113, section 4.3). */
export class HeaderBlock {
  readonly #maxBytes: number
  #parts: Buffer[] = []
  #bytes = 0
  #stream = 0
  #endsStream = false

  /** `maxBytes`: of a block as it came, before it is decoded. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The block ended its stream. */
  get endsStream(): boolean {
    return this.#endsStream
  }

  /**
   * A frame begins. Until a block is whole nothing but its CONTINUATION frames may come (section 6.10).
   * @throws Violation for a frame that must not come now, or would make the block too large
   */
  expect(type: number, stream: number, length: number): void {
    if (type === FRAME.continuation) {
      if (this.#stream !== stream || stream === 0)
        throw new Violation(H2_ERROR.protocol, 'a CONTINUATION frame of nothing')
    } else if (this.#stream !== 0) throw new Violation(H2_ERROR.protocol, 'a frame amid a header block')
    else if (type !== FRAME.headers) return
    if (this.#bytes + length > this.#maxBytes || this.#parts.length > MAX_CONTINUATIONS)
      throw new Violation(H2_ERROR.enhanceYourCalm, `a header block of more than ${this.#maxBytes} bytes`)
  }

  /** The whole block, once it is. `payload` is only used during the call. */
  add(type: number, flags: number, stream: number, payload: Buffer): Buffer | undefined {
    let fragment = payload
    if (type === FRAME.headers) {
      fragment = withoutExtras(payload, flags)
      this.#endsStream = (flags & FLAG.endStream) !== 0
    }
    if ((flags & FLAG.endHeaders) === 0) {
      this.#stream = stream
      this.#parts.push(Buffer.from(fragment))
      this.#bytes += fragment.length
      return undefined
    }
    if (this.#stream === 0) return fragment
    const block = Buffer.concat([...this.#parts, fragment])
    this.#stream = 0
    this.#parts = []
    this.#bytes = 0
    return block
  }
}

/** HEADERS may carry padding and a priority, which nobody needs (section 6.2). */
function withoutExtras(payload: Buffer, flags: number): Buffer {
  let from = 0
  let to = payload.length
  if ((flags & FLAG.padded) !== 0) to -= payload[from++] ?? 0
  if ((flags & FLAG.priority) !== 0) from += 5
  if (from > payload.length) throw new Violation(H2_ERROR.frameSize, 'a HEADERS frame that is too short')
  if (from > to) throw new Violation(H2_ERROR.protocol, 'more padding than a HEADERS frame has room for')
  return payload.subarray(from, to)
}
