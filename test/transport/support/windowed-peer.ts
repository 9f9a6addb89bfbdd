import type { Socket } from 'node:net'
import { eventually } from '../../support/eventually.ts'
import { framesIn, h2, type RawFrame } from './raw-http2.ts'

const DEFAULT_WINDOW_BYTES = 65_535

/** One end of an HTTP/2 connection by hand that sends no more data than the other end gave room for. */
export class WindowedPeer {
  readonly socket: Socket
  readonly frames: RawFrame[] = []
  isGone = false
  /** Bytes of DATA frames sent, padding included. */
  sentBytes = 0
  /** Room for data on the connection, bytes. */
  room = DEFAULT_WINDOW_BYTES
  readonly #given = new Map<number, number>()
  #initial = DEFAULT_WINDOW_BYTES
  #rest: Buffer = Buffer.alloc(0)

  /** `skippedBytes`: of what the other end says first that is no frame. */
  constructor(socket: Socket, skippedBytes = 0) {
    this.socket = socket
    let skipped = skippedBytes
    socket.on('error', () => {})
    socket.once('close', () => (this.isGone = true))
    socket.on('data', (chunk: Buffer) => {
      const count = Math.min(skipped, chunk.length)
      skipped -= count
      this.#read(chunk.subarray(count))
    })
  }

  /** Room for data on a stream, bytes. */
  roomOn(stream: number): number {
    return this.#initial + (this.#given.get(stream) ?? 0)
  }

  /** What was said on a stream, by type of frame. */
  on(stream: number, type: number): RawFrame[] {
    return this.frames.filter((frame) => frame.stream === stream && frame.type === type)
  }

  get goawayCode(): number | undefined {
    return this.on(0, 7)[0]?.payload.readUInt32BE(4)
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  /** Sends data in frames of 16 KiB, the last one smaller, each with `padding` bytes (below 256) of it, as windows allow. */
  async sendData(stream: number, data: Buffer, padding = 0): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const part = data.subarray(at, at + 16_384 - 256)
      const payload = padding === 0 ? part : Buffer.concat([Buffer.of(padding), part, Buffer.alloc(padding)])
      const length = payload.length
      if (this.room < length || this.roomOn(stream) < length)
        await eventually('there is room', () => this.room >= length && this.roomOn(stream) >= length)
      this.room -= length
      this.sentBytes += length
      this.#given.set(stream, (this.#given.get(stream) ?? 0) - length)
      this.socket.write(h2(0, padding === 0 ? 0 : 8, stream, payload))
      at += part.length
    }
  }

  #read(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (const frame of framesIn(this.#rest)) {
      this.#rest = this.#rest.subarray(9 + frame.payload.length)
      this.frames.push(frame)
      this.#onFrame(frame)
    }
  }

  #onFrame({ type, flags, stream, payload }: RawFrame): void {
    if (type === 4 && flags === 0) {
      for (let at = 0; at < payload.length; at += 6)
        if (payload.readUInt16BE(at) === 4) this.#initial = payload.readUInt32BE(at + 2)
    } else if (type === 8 && stream === 0) this.room += payload.readUInt32BE(0)
    else if (type === 8) this.#given.set(stream, (this.#given.get(stream) ?? 0) + payload.readUInt32BE(0))
  }
}
