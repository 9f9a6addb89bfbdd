import type { Socket } from 'node:net'
import { writeTogether } from '../channel/write-together.ts'
import { FRAME, HEADER_BYTES, putHeader } from './frames.ts'
import { SendWindow } from './send-window.ts'
import type { PeerSettings } from './settings.ts'

type OnTaken = (error?: Error | null) => void

/** Bytes that wait for room in the peer's windows. */
interface Waiting {
  readonly parts: readonly Buffer[]
  readonly onTaken: OnTaken
  /** Where the next byte is: part and position in it. */
  part: number
  at: number
  left: number
  /** The room for a header in front of the first part was used. */
  isBegun: boolean
}

/** What the streams of one connection share on their way out. */
export interface Outlet {
  readonly socket: Socket
  /** The window of the connection. */
  readonly sendWindow: SendWindow
  readonly peerSettings: PeerSettings
}

/**
 * The data of one stream on its way out, as DATA frames (RFC 9113, section 6.1). What the peer's windows and frame size
 * allow leaves in the call that brought it, its header written in front of it in place; the rest waits.
 */
export class DataQueue {
  /** The window of the stream. */
  readonly window: SendWindow
  readonly #outlet: Outlet
  readonly #stream: number
  readonly #waiting: Waiting[] = []
  /** Makes what ends the stream behind what waits. */
  #lastFrames: (() => Buffer) | undefined
  #isEnded = false

  constructor(outlet: Outlet, stream: number) {
    this.#outlet = outlet
    this.#stream = stream
    this.window = new SendWindow(outlet.peerSettings.initialWindowBytes)
  }

  /** Our last frame has left, or nothing may leave any more. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** The first {@link HEADER_BYTES} of `bytes` are free. */
  write(bytes: Buffer, onTaken: OnTaken): void {
    const length = bytes.length - HEADER_BYTES
    if (this.#isFree(length)) {
      this.#putHeader(bytes, length)
      this.#outlet.socket.write(bytes, onTaken)
    } else this.#wait([bytes], length, onTaken)
  }

  /** As `write`; the free bytes are those of the first part. */
  writeParts(parts: readonly Buffer[], onTaken: OnTaken): void {
    let length = -HEADER_BYTES
    for (const part of parts) length += part.length
    if (this.#isFree(length)) {
      this.#putHeader(parts[0]!, length)
      writeTogether(this.#outlet.socket, parts, onTaken)
    } else this.#wait(parts, length, onTaken)
  }

  /** Ends the stream with frames that say so, behind what waits. They are made when they leave, under the settings of then. */
  end(lastFrames: () => Buffer): void {
    this.#lastFrames ??= lastFrames
    this.pump()
  }

  /** Sends what the windows have room for now. */
  pump(): void {
    if (this.#isEnded) return
    const { socket } = this.#outlet
    if (this.#waiting.length > 0 && this.#room > 0) {
      socket.cork()
      do this.#sendSome(this.#waiting[0]!)
      while (this.#waiting.length > 0 && this.#room > 0)
      socket.uncork()
    }
    if (this.#lastFrames === undefined || this.#waiting.length > 0) return
    this.#isEnded = true
    socket.write(this.#lastFrames())
  }

  /** Nothing more leaves. */
  drop(error: Error): void {
    this.#isEnded = true
    for (const { onTaken } of this.#waiting.splice(0)) onTaken(error)
  }

  /** Bytes that the windows have room for; none if below zero. */
  get #room(): number {
    return Math.min(this.window.bytes, this.#outlet.sendWindow.bytes)
  }

  #isFree(length: number): boolean {
    return (
      this.#waiting.length === 0 &&
      length <= this.#outlet.peerSettings.maxFrameBytes &&
      length <= this.#room &&
      !this.#isEnded
    )
  }

  /** Counts a frame's data and writes its header. */
  #putHeader(bytes: Buffer, length: number): void {
    this.window.take(length)
    this.#outlet.sendWindow.take(length)
    putHeader(bytes, 0, length, FRAME.data, 0, this.#stream)
  }

  #wait(parts: readonly Buffer[], left: number, onTaken: OnTaken): void {
    if (this.#isEnded) {
      onTaken(new Error('the stream has ended'))
      return
    }
    this.#waiting.push({ parts, onTaken, part: 0, at: 0, left, isBegun: false })
    this.pump()
  }

  /** One frame, as large as it may be. */
  #sendSome(item: Waiting): void {
    const { socket, peerSettings } = this.#outlet
    let count = Math.min(item.left, peerSettings.maxFrameBytes, this.#room)
    item.left -= count
    if (item.isBegun) {
      const header = Buffer.allocUnsafe(HEADER_BYTES)
      this.#putHeader(header, count)
      socket.write(header)
    } else {
      item.isBegun = true
      this.#putHeader(item.parts[0]!, count)
      count += HEADER_BYTES
    }
    while (count > 0) {
      const part = item.parts[item.part]!
      const end = Math.min(part.length, item.at + count)
      const piece = part.subarray(item.at, end)
      count -= end - item.at
      item.at = end
      if (end === part.length) {
        item.part++
        item.at = 0
      }
      if (item.left === 0 && count === 0) {
        this.#waiting.shift()
        socket.write(piece, item.onTaken)
      } else socket.write(piece)
    }
  }
}
