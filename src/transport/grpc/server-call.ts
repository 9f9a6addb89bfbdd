import type { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { type Http2Connection, lost } from '../h2/connection.ts'
import { DataInlet } from '../h2/data-inlet.ts'
import { DataQueue } from '../h2/data-queue.ts'
import { FLAG, HEADER_BYTES, headersFrames, rstStreamFrame, windowUpdateFrame } from '../h2/frames.ts'
import { encodeHeaders } from '../h2/hpack-encoder.ts'
import { STREAM_WINDOW_BYTES } from '../h2/limits.ts'
import type { Field } from '../h2/static-table.ts'
import { H2_ERROR, Violation } from '../h2/violation.ts'
import type { CallHeaders } from './call-headers.ts'
import { trailersOf } from './grpc-status.ts'

/** Has the calls of one connection. */
export interface CallOwner {
  readonly connection: Http2Connection
  /** By how much the window that calls begin with grew since the connection began, bytes. */
  readonly windowChange: number
  /** The call is over: nothing that comes on its stream counts any more. */
  onCallClosed(stream: number): void
}

/**
 * One gRPC call as its server sees it. Its response headers have to leave before its first message, and should at once:
 * peers exist that send nothing before they have them.
 */
export class ServerCall implements ByteChannel {
  readonly peer: string
  readonly headers: CallHeaders
  readonly headroomBytes = HEADER_BYTES
  readonly #owner: CallOwner
  readonly #stream: number
  readonly #queue: DataQueue
  readonly #inlet = new DataInlet(STREAM_WINDOW_BYTES)
  #listener: ChannelListener | undefined
  #hasResponded = false
  #isRequestOver = false
  /** The listener was told of the request's end. */
  #isEndTold = false
  #isClosed = false
  /** What of the owner's `windowChange` is in the window. */
  #windowChange: number

  constructor(owner: CallOwner, stream: number, headers: CallHeaders) {
    this.peer = owner.connection.peer
    this.headers = headers
    this.#owner = owner
    this.#stream = stream
    this.#windowChange = owner.windowChange
    this.#queue = new DataQueue(owner.connection, stream)
  }

  /** Nothing can be said any more. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  get hasResponded(): boolean {
    return this.#hasResponded
  }

  /** Whoever listens, as far as it is known. */
  get listener(): ChannelListener | undefined {
    return this.#listener
  }

  start(listener: ChannelListener): void {
    this.#listener = listener
  }

  /** Sends response headers, encoded; with `isLast` they are all of the response. */
  respond(block: Buffer, isLast = false): void {
    if (this.#isClosed || this.#hasResponded) return
    this.#hasResponded = true
    if (isLast) {
      this.#queue.end(() => this.#headersFrames(block, FLAG.endStream))
      this.#finish()
    } else this.#owner.connection.send(this.#headersFrames(block, 0))
  }

  write(bytes: Buffer, onTaken: (error?: Error | null) => void): void {
    this.#queue.write(bytes, onTaken)
  }

  writeParts(parts: readonly Buffer[], onTaken: (error?: Error | null) => void): void {
    this.#queue.writeParts(parts, onTaken)
  }

  pause(): void {
    this.#inlet.pause()
  }

  resume(): void {
    const kept = this.#inlet.resume()
    if (kept !== undefined) this.#listener?.onData(kept)
    const room = this.#room()
    const { connection } = this.#owner
    if (room !== undefined) connection.send(room)
    if (kept !== undefined) connection.release(kept.length)
    this.#tellEnd()
  }

  /** Ends the response behind what was written, with the status that `reason` means. */
  end(reason?: WeirError): void {
    if (this.#isClosed) return
    const fields: readonly Field[] = Object.entries(trailersOf(reason))
    this.#queue.end(() => this.#headersFrames(encodeHeaders(fields), FLAG.endStream))
    this.#finish()
  }

  /** After a whole response it only says that the rest of the request is not wanted (RFC 9113, section 8.1). */
  destroy(): void {
    if (this.#isClosed) return
    const code = this.#queue.isEnded ? H2_ERROR.none : H2_ERROR.cancel
    this.#owner.connection.send(rstStreamFrame(this.#stream, code))
    this.#close(undefined)
  }

  /** @throws Violation */
  onDataBegin(length: number): void {
    if (this.#isRequestOver) throw new Violation(H2_ERROR.streamClosed, 'data behind the end of a request')
    this.#inlet.take(length)
  }

  onData(data: Buffer): void {
    if (this.#inlet.passes(data)) this.#listener?.onData(data)
    else this.#owner.connection.hold(data.length)
  }

  onDataEnd(isLast: boolean): void {
    if (isLast) this.onRequestEnd()
    else {
      const room = this.#room()
      if (room !== undefined) this.#owner.connection.answer(room)
    }
  }

  onRequestEnd(): void {
    this.#isRequestOver = true
    this.#tellEnd()
    this.#finish()
  }

  onReset(code: number): void {
    const isOrderly = code === H2_ERROR.none || code === H2_ERROR.cancel
    this.#close(isOrderly ? undefined : lost(this.peer, `the stream was reset with HTTP/2 code ${code}`))
  }

  /** @throws Violation */
  onWindow(increment: number): void {
    this.#takeWindowChange()
    this.#queue.window.give(increment)
  }

  /** More may leave than before. @throws Violation */
  pump(): void {
    this.#takeWindowChange()
    this.#queue.pump()
    this.#finish()
  }

  /** The connection is gone. */
  onLost(failure: WeirError): void {
    this.#close(failure)
  }

  /** A header block, as the peer's settings have it now. */
  #headersFrames(block: Buffer, flags: number): Buffer {
    const { peerSettings } = this.#owner.connection
    return headersFrames(peerSettings.blockToSend(block), flags, this.#stream, peerSettings.maxFrameBytes)
  }

  #takeWindowChange(): void {
    const { windowChange } = this.#owner
    this.#queue.window.give(windowChange - this.#windowChange)
    this.#windowChange = windowChange
  }

  #room(): Buffer | undefined {
    const room = this.#isRequestOver ? 0 : this.#inlet.refill()
    return room === 0 ? undefined : windowUpdateFrame(this.#stream, room)
  }

  #tellEnd(): void {
    if (!this.#isRequestOver || this.#isEndTold || this.#inlet.isPaused) return
    this.#isEndTold = true
    this.#listener?.onEnd(undefined)
  }

  /** Both sides have said everything. */
  #finish(): void {
    if (this.#isRequestOver && this.#queue.isEnded) this.#close(undefined)
  }

  #close(failure: WeirError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#queue.drop(new Error('the call is over'))
    const dropped = this.#inlet.drop()
    if (dropped > 0) this.#owner.connection.release(dropped)
    this.#owner.onCallClosed(this.#stream)
    queueMicrotask(() => {
      const listener = this.#listener
      this.#listener = undefined
      listener?.onClosed(failure)
    })
  }
}
