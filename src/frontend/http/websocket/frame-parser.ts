import { applyMask, CLOSE, type Frame, OPCODES } from './frame.ts'

/** Why a connection must be closed: the peer broke the protocol, or a limit. */
export interface FrameError {
  readonly code: number
  readonly reason: string
}

const MAX_HEADER_BYTES = 14
const MAX_CONTROL_PAYLOAD = 125

/**
 * Cuts one direction of a WebSocket connection into frames (RFC 6455 section 5). Strict: no extensions, masks
 * exactly where they belong, shortest length form, sound fragmentation. After an error nothing more comes out.
 */
export class FrameParser {
  readonly #isMasked: boolean
  readonly #maxFrameBytes: number
  readonly #chunks: Buffer[] = []
  #buffered = 0
  #isFragmented = false
  #error: FrameError | undefined

  /** `fromClient`: clients mask their frames, servers never do. `maxFrameBytes` counts the payload. */
  constructor(fromClient: boolean, maxFrameBytes: number) {
    this.#isMasked = fromClient
    this.#maxFrameBytes = maxFrameBytes
  }

  push(chunk: Buffer): void {
    if (this.#error !== undefined || chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#buffered += chunk.length
  }

  /** The next whole frame; undefined: more bytes are needed; an error: the end. */
  next(): Frame | FrameError | undefined {
    if (this.#error !== undefined) return this.#error
    const head = this.#peek(Math.min(MAX_HEADER_BYTES, this.#buffered))
    if (head.length < 2) return undefined
    const first = head[0]!
    const second = head[1]!
    const fin = (first & 0x80) !== 0
    const opcode = OPCODES.get(first & 0x0f)
    if ((first & 0x70) !== 0) return this.#fail('a reserved bit is set, but no extension was agreed')
    if (opcode === undefined) return this.#fail('unknown opcode')
    if (((second & 0x80) !== 0) !== this.#isMasked)
      return this.#fail('masked where it must not, or not masked')
    const isControl = (first & 0x08) !== 0
    const short = second & 0x7f
    if (isControl && (!fin || short > MAX_CONTROL_PAYLOAD))
      return this.#fail('a control frame that is split or long')
    const fault = isControl ? undefined : this.#fragmentFault(opcode === 'continuation')
    if (fault !== undefined) return this.#fail(fault)
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const headerBytes = 2 + lengthBytes + (this.#isMasked ? 4 : 0)
    if (head.length < headerBytes) return undefined
    const length =
      lengthBytes === 0 ? short : lengthBytes === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2))
    if ((lengthBytes === 2 && length < 126) || (lengthBytes === 8 && length < 65_536)) {
      return this.#fail('a length not in its shortest form')
    }
    if (length > this.#maxFrameBytes) {
      return this.#fail(`a frame over ${this.#maxFrameBytes} bytes`, CLOSE.tooBig)
    }
    if (opcode === 'close' && length === 1) return this.#fail('a close frame with half a code')
    if (this.#buffered < headerBytes + length) return undefined
    if (!isControl) this.#isFragmented = !fin
    return this.#cut(opcode, fin, headerBytes, length)
  }

  #fragmentFault(isContinuation: boolean): string | undefined {
    if (isContinuation === this.#isFragmented) return undefined
    return isContinuation ? 'a continuation of nothing' : 'a new message inside another'
  }

  #cut(opcode: Frame['opcode'], fin: boolean, headerBytes: number, length: number): Frame {
    const header = this.#take(headerBytes)
    const body = this.#take(length)
    let payload = body
    if (this.#isMasked && length > 0) {
      payload = Buffer.from(body)
      applyMask(payload, header.subarray(headerBytes - 4))
    }
    return { opcode, fin, payload, bytes: [header, body], length: headerBytes + length }
  }

  #fail(reason: string, code: number = CLOSE.protocolError): FrameError {
    this.#error = { code, reason }
    this.#chunks.length = 0
    this.#buffered = 0
    return this.#error
  }

  /** The first bytes without consuming them. */
  #peek(bytes: number): Buffer {
    const first = this.#chunks[0]
    if (first === undefined) return EMPTY
    if (first.length >= bytes) return first.subarray(0, bytes)
    this.#join(bytes)
    return this.#chunks[0]!.subarray(0, bytes)
  }

  #take(bytes: number): Buffer {
    if (bytes === 0) return EMPTY
    if (this.#chunks[0]!.length < bytes) this.#join(bytes)
    const first = this.#chunks[0]!
    this.#buffered -= bytes
    if (first.length === bytes) {
      this.#chunks.shift()
      return first
    }
    this.#chunks[0] = first.subarray(bytes)
    return first.subarray(0, bytes)
  }

  /** Makes the first chunk hold at least `bytes`. */
  #join(bytes: number): void {
    let count = 0
    let sum = 0
    while (sum < bytes) sum += this.#chunks[count++]!.length
    this.#chunks.splice(0, count, Buffer.concat(this.#chunks.slice(0, count), sum))
  }
}

const EMPTY = Buffer.alloc(0)
