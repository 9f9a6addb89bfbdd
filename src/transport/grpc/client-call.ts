import type { Socket } from 'node:net'
import type { WeirError } from '../../core/errors.ts'
import type { ByteChannel, ChannelListener } from '../channel/byte-channel.ts'
import { Http2Connection, lost, type StreamOwner } from '../h2/connection.ts'
import { DataInlet } from '../h2/data-inlet.ts'
import { DataQueue } from '../h2/data-queue.ts'
import {
  FLAG,
  FRAME,
  frame,
  goawayFrame,
  HEADER_BYTES,
  headersFrames,
  PREFACE,
  rstStreamFrame,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from '../h2/frames.ts'
import { encodeHeaders } from '../h2/hpack-encoder.ts'
import { FRAME_BYTES, HEADER_LIST_BYTES, STREAM_WINDOW_BYTES } from '../h2/limits.ts'
import type { Field } from '../h2/static-table.ts'
import { H2_ERROR, Violation } from '../h2/violation.ts'
import { headersOf } from './call-headers.ts'
import { type CallStatus, errorOfStatus, foreignResponse, statusOf } from './grpc-status.ts'

/** The one stream of the connection. */
const STREAM = 1

const SETTINGS = settingsFrame([
  [SETTING.enablePush, 0],
  [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
  [SETTING.maxFrameSize, FRAME_BYTES],
  [SETTING.maxHeaderListSize, HEADER_LIST_BYTES],
])

/**
 * How far the server is: `waiting` for the headers of its response, `open` for its messages, `ended` with a status.
 */
type Phase = 'waiting' | 'open' | 'ended'

/** One gRPC call as its client sees it, alone on its HTTP/2 connection. */
export class ClientCall implements ByteChannel, StreamOwner {
  readonly peer: string
  readonly headroomBytes = HEADER_BYTES
  /** A server may open none. */
  readonly lastTaken = 0
  readonly connection: Http2Connection
  readonly #queue: DataQueue
  readonly #inlet = new DataInlet(STREAM_WINDOW_BYTES)
  /** Undefined before the start and after the end. */
  #listener: ChannelListener | undefined
  #phase: Phase = 'waiting'
  /** The end came while the owner had paused, behind data that it has not got yet. */
  #heldEnd: CallStatus | undefined
  #isRetiring = false
  /** What was kept is being told: whatever ends behind it waits, even if the owner pauses and resumes meanwhile. */
  #isCatchingUp = false

  /** `socket` is connected, after its TLS handshake; `request`: the headers of the call. */
  constructor(socket: Socket, request: readonly Field[], peer: string) {
    this.peer = peer
    this.connection = new Http2Connection(socket, this, peer, true)
    this.#queue = new DataQueue(this.connection, STREAM)
    const headers = headersFrames(
      encodeHeaders(request),
      0,
      STREAM,
      this.connection.peerSettings.maxFrameBytes,
    )
    this.connection.start([Buffer.from(PREFACE), SETTINGS, headers])
    socket.on('data', (chunk: Buffer) => this.connection.push(chunk))
  }

  start(listener: ChannelListener): void {
    this.#listener = listener
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
    if (this.#isCatchingUp) return
    if (kept !== undefined) {
      this.#isCatchingUp = true
      try {
        this.#listener?.onData(kept)
      } finally {
        this.#isCatchingUp = false
      }
    }
    const room = this.#inlet.refill()
    if (room > 0) this.connection.send(windowUpdateFrame(STREAM, room))
    if (this.#heldEnd !== undefined && !this.#inlet.isPaused) this.#onStatus(this.#heldEnd)
  }

  end(): void {
    if (this.connection.isOver) return
    this.#queue.end(() => frame(FRAME.data, FLAG.endStream, STREAM, Buffer.alloc(0)))
    this.#finish()
  }

  destroy(): void {
    const cancel = rstStreamFrame(STREAM, H2_ERROR.cancel)
    this.connection.destroy(Buffer.concat([cancel, goawayFrame(H2_ERROR.none, this.lastTaken)]))
  }

  onDataBegin(stream: number, length: number): void {
    checkStream(stream)
    if (this.#phase !== 'open')
      throw new Violation(
        this.#phase === 'ended' ? H2_ERROR.streamClosed : H2_ERROR.protocol,
        'data outside of a response',
      )
    this.#inlet.take(length)
  }

  onStreamData(_stream: number, data: Buffer): void {
    if (this.#inlet.passes(data)) this.#listener?.onData(data)
  }

  onDataEnd(_stream: number, isLast: boolean): void {
    if (isLast) this.#endedWithoutStatus()
    const room = this.#inlet.refill()
    if (room > 0) this.connection.answer(windowUpdateFrame(STREAM, room))
  }

  onHeaders(stream: number, fields: readonly Field[], isLast: boolean): void {
    checkStream(stream)
    if (this.#phase === 'ended') throw new Violation(H2_ERROR.streamClosed, 'headers behind the end')
    const headers = headersOf(fields)
    if (this.#phase === 'waiting') {
      /* Informational responses may come before the one that counts. */
      if (!isLast && headers[':status']?.startsWith('1') === true) return
      this.#phase = 'open'
      const foreign = foreignResponse(headers, this.peer)
      if (foreign !== undefined) {
        this.connection.fail(foreign)
        return
      }
    } else if (!isLast) throw new Violation(H2_ERROR.protocol, 'trailers that do not end the stream')
    if (!isLast) return
    const status = statusOf(headers)
    if (status === undefined) this.#endedWithoutStatus()
    this.#phase = 'ended'
    if (this.#inlet.isPaused) this.#heldEnd = status
    else this.#onStatus(status)
  }

  onReset(stream: number, code: number): void {
    checkStream(stream)
    if (this.#phase !== 'ended') {
      this.connection.fail(lost(this.peer, `the stream was reset with HTTP/2 code ${code}`))
      return
    }
    /* The server has said everything and wants no more (RFC 9113, section 8.1). */
    this.#queue.drop(new Error('the server takes no more'))
    this.#finish()
  }

  onStreamWindow(stream: number, increment: number): void {
    checkStream(stream)
    this.#queue.window.give(increment)
    this.onRoom()
  }

  onInitialWindow(change: number): void {
    this.#queue.window.give(change)
  }

  onRoom(): void {
    this.#queue.pump()
    this.#finish()
  }

  onGoaway(lastStream: number, code: number, text: string): void {
    if (code !== H2_ERROR.none || lastStream < STREAM) {
      if (this.#phase !== 'ended')
        this.connection.fail(
          lost(this.peer, `the server left with HTTP/2 code ${code}${text === '' ? '' : `: ${text}`}`),
        )
      return
    }
    if (this.#isRetiring) return
    this.#isRetiring = true
    this.#listener?.onRetiring()
  }

  onClosed(failure: WeirError | undefined): void {
    const isOrderly = this.#phase === 'ended'
    this.#phase = 'ended'
    const listener = this.#listener
    this.#listener = undefined
    this.#queue.drop(new Error('the connection is closed'))
    const held = this.#heldEnd
    this.#heldEnd = undefined
    if (held !== undefined) listener?.onEnd(errorOfStatus(held.status, held.message, this.peer))
    listener?.onClosed(failure ?? (isOrderly ? undefined : lost(this.peer, 'the connection was closed')))
  }

  #onStatus({ status, message }: CallStatus): void {
    this.#heldEnd = undefined
    this.#listener?.onEnd(errorOfStatus(status, message, this.peer))
    this.#finish()
  }

  #endedWithoutStatus(): never {
    throw new Violation(H2_ERROR.protocol, 'it ended the call without a status')
  }

  /** Both sides have said everything: the connection has served its purpose. */
  #finish(): void {
    if (this.#phase === 'ended' && this.#queue.isEnded) this.connection.end()
  }
}

/** @throws Violation for a stream that we never opened */
function checkStream(stream: number): void {
  if (stream !== STREAM) throw new Violation(H2_ERROR.protocol, `stream ${stream} was never opened`)
}
