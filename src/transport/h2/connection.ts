import type { Socket } from 'node:net'
import { WeirError } from '../../core/errors.ts'
import { ControlOut } from './control-out.ts'
import type { Outlet } from './data-queue.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { checkFrame, GOAWAY_BYTES } from './frame-rules.ts'
import { DEFAULT_WINDOW_BYTES, FLAG, FRAME, frame, goawayFrame, windowUpdateFrame } from './frames.ts'
import { HeaderBlock } from './header-block.ts'
import { HpackDecoder } from './hpack-decoder.ts'
import { FRAME_BYTES, HEADER_LIST_BYTES, HEADER_TABLE_BYTES, SESSION_WINDOW_BYTES } from './limits.ts'
import { ReceiveWindow } from './receive-window.ts'
import { SendWindow } from './send-window.ts'
import { PeerSettings } from './settings.ts'
import type { Field } from './static-table.ts'
import { H2_ERROR, Violation } from './violation.ts'

/** Who has the streams of a connection. Throws end it. */
export interface StreamOwner {
  /** The highest stream of the peer's that was taken; 0: none. Every goodbye tells it, so it never grows after one. */
  readonly lastTaken: number
  /** A DATA frame of `length` bytes, padding included, begins. */
  onDataBegin(stream: number, length: number): void
  /** Some of its data; valid only during the call when the connection reads into buffers of its own. */
  onStreamData(stream: number, data: Buffer): void
  onDataEnd(stream: number, isLast: boolean): void
  /** A header block is whole. */
  onHeaders(stream: number, fields: readonly Field[], isLast: boolean): void
  onReset(stream: number, code: number): void
  onStreamWindow(stream: number, increment: number): void
  /** The window that streams begin with grew or shrank: the open ones with it. */
  onInitialWindow(change: number): void
  /** More may leave than before, on whatever stream. Told once for all of a chunk, as frames that say so are small. */
  onRoom(): void
  /** Streams above `lastStream` were not taken. `code` 0: in good order. `text`: what it said, fit for a log. */
  onGoaway(lastStream: number, code: number, text: string): void
  /** Once: nothing of the connection is left. Undefined: it ended in good order, as far as the connection knows. */
  onClosed(failure: WeirError | undefined): void
}

const NOTHING = Buffer.alloc(0)
/** Bytes of a goodbye's text that reach a message. */
const MAX_GOAWAY_TEXT = 128

/**
 * One HTTP/2 connection on a socket (RFC 9113): everything but its streams. Whatever breaks the protocol ends it at
 * once, with the code that says why.
 */
export class Http2Connection implements FrameSink, Outlet {
  readonly peer: string
  readonly socket: Socket
  readonly sendWindow = new SendWindow()
  readonly peerSettings: PeerSettings
  readonly #owner: StreamOwner
  readonly #control: ControlOut
  readonly #reader = new FrameReader(this, FRAME_BYTES)
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES, HEADER_LIST_BYTES)
  readonly #block = new HeaderBlock(HEADER_LIST_BYTES)
  readonly #window = new ReceiveWindow(SESSION_WINDOW_BYTES)
  #failure: WeirError | undefined
  #isOver = false
  /** The peer's settings have come, which are the first thing it says. */
  #isGreeted = false
  /** This chunk brought room. */
  #hasRoom = false
  /** Told of the next answer to a ping of ours. */
  onPong: (() => void) | undefined

  /** `isClient`: we are. */
  constructor(socket: Socket, owner: StreamOwner, peer: string, isClient: boolean) {
    this.socket = socket
    this.peer = peer
    this.#owner = owner
    this.#control = new ControlOut(socket)
    this.peerSettings = new PeerSettings(isClient)
    socket.setNoDelay(true)
  }

  /** Begins. `greeting`: what leaves first. */
  start(greeting: readonly Buffer[]): void {
    const { socket } = this
    const update = windowUpdateFrame(0, SESSION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
    socket.write(Buffer.concat([...greeting, update]))
    socket.on('error', (error) => {
      this.#failure ??= lost(this.peer, error.message, error)
    })
    /* Whoever ends his direction of a connection has no call any more. */
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.#isOver = true
      this.#reader.stop()
      this.#owner.onClosed(this.#failure)
    })
  }

  get isGreeted(): boolean {
    return this.#isGreeted
  }

  /** Nothing is sent or heard any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** What arrived. */
  push(chunk: Buffer): void {
    if (this.#isOver) return
    try {
      this.#reader.push(chunk)
      if (this.#hasRoom && !this.#isOver) {
        this.#hasRoom = false
        this.#control.flush()
        this.#owner.onRoom()
      }
      this.#control.flush()
    } catch (error) {
      this.#break(error)
    }
  }

  /** Sends a small frame with those that this chunk of the peer's leads to. Only while a chunk is worked on. */
  answer(bytes: Buffer): void {
    if (!this.#isOver) this.#control.add(bytes)
  }

  /** Sends frames at once. */
  send(bytes: Buffer): void {
    if (!this.#isOver) this.socket.write(bytes)
  }

  /** Data of a stream is kept instead of used: the peer gets no room for it until it is released. */
  hold(count: number): void {
    this.#window.hold(count)
  }

  /** What was held is used, or of no use any more. */
  release(count: number): void {
    this.#window.release(count)
    const room = this.#window.refill()
    if (room > 0) this.send(windowUpdateFrame(0, room))
  }

  ping(): void {
    this.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8)))
  }

  /** Announces that no more streams will be taken, and goes on. */
  retire(): void {
    this.send(goawayFrame(H2_ERROR.none, this.#owner.lastTaken))
  }

  /** Ends in good order: nothing is heard any more, and what was written still leaves. */
  end(): void {
    if (this.#isOver) return
    this.#control.flush()
    this.#isOver = true
    this.#reader.stop()
    this.socket.end(goawayFrame(H2_ERROR.none, this.#owner.lastTaken))
  }

  /** Ends at once; `reason` is what the owner hears of it. */
  fail(reason: WeirError): void {
    this.#failure ??= reason
    this.destroy()
  }

  /** Ends at once, with a goodbye that leaves if the socket takes it. */
  destroy(goodbye = goawayFrame(H2_ERROR.none, this.#owner.lastTaken)): void {
    if (!this.#isOver) {
      this.#isOver = true
      this.#reader.stop()
      this.socket.write(goodbye)
    }
    this.socket.destroy()
  }

  onFrameBegin(type: number, flags: number, stream: number, length: number): void {
    if (!this.#isGreeted) this.#greet(type, flags)
    this.#block.expect(type, stream, length)
    checkFrame(type, flags, stream, length)
    if (type !== FRAME.data) return
    this.#window.take(length)
    this.#owner.onDataBegin(stream, length)
  }

  onData(data: Buffer, stream: number): void {
    this.#owner.onStreamData(stream, data)
  }

  onDataEnd(stream: number, flags: number): void {
    const room = this.#window.refill()
    if (room > 0) this.answer(windowUpdateFrame(0, room))
    this.#owner.onDataEnd(stream, (flags & FLAG.endStream) !== 0)
  }

  onFrame(type: number, flags: number, stream: number, payload: Buffer): void {
    switch (type) {
      case FRAME.headers:
      case FRAME.continuation: {
        const block = this.#block.add(type, flags, stream, payload)
        if (block !== undefined)
          this.#owner.onHeaders(stream, this.#decoder.decode(block), this.#block.endsStream)
        return
      }
      case FRAME.rstStream:
        this.#owner.onReset(stream, payload.readUInt32BE(0))
        return
      case FRAME.settings:
        if ((flags & FLAG.ack) === 0) this.#onSettings(payload)
        return
      case FRAME.ping:
        if ((flags & FLAG.ack) === 0) this.answer(frame(FRAME.ping, FLAG.ack, 0, payload))
        else this.onPong?.()
        return
      case FRAME.goaway:
        this.#owner.onGoaway(
          payload.readUInt32BE(0) & 0x7fff_ffff,
          payload.readUInt32BE(4),
          goawayText(payload),
        )
        return
      case FRAME.windowUpdate:
        this.#onWindowUpdate(stream, payload.readUInt32BE(0) & 0x7fff_ffff)
    }
  }

  /** What arrived cannot be understood or must not be: nothing after it can be trusted. */
  #break(thrown: unknown): void {
    const isViolation = thrown instanceof Violation
    this.#failure ??= isViolation
      ? new WeirError('PROTOCOL_ERROR', `${this.peer} broke HTTP/2: ${thrown.message}`, { cause: thrown })
      : WeirError.from(thrown)
    const code = isViolation ? thrown.http2Code : H2_ERROR.internal
    this.destroy(goawayFrame(code, this.#owner.lastTaken, isViolation ? thrown.message : ''))
  }

  /** Settings come first, in both directions (RFC 9113, section 3.4). */
  #greet(type: number, flags: number): void {
    if (type !== FRAME.settings || (flags & FLAG.ack) !== 0)
      throw new Violation(H2_ERROR.protocol, 'it did not begin with settings')
    this.#isGreeted = true
  }

  /**
   * The peer keeps to what held before until it has our acknowledgement (RFC 9113, section 6.5.3), so that leaves in
   * front of whatever the new values allow. Settings that say nothing change nothing: their answer may wait.
   */
  #onSettings(payload: Buffer): void {
    const before = this.peerSettings.initialWindowBytes
    this.peerSettings.read(payload)
    this.answer(frame(FRAME.settings, FLAG.ack, 0, NOTHING))
    if (payload.length > 0) this.#control.flush()
    const change = this.peerSettings.initialWindowBytes - before
    if (change !== 0) this.#owner.onInitialWindow(change)
    this.#hasRoom = true
  }

  #onWindowUpdate(stream: number, increment: number): void {
    if (increment === 0) throw new Violation(H2_ERROR.protocol, 'a window update by nothing')
    if (stream !== 0) {
      this.#owner.onStreamWindow(stream, increment)
      return
    }
    this.sendWindow.give(increment)
    this.#hasRoom = true
  }
}

/** The start of what a peer says with its goodbye; what cannot be printed becomes a question mark. */
function goawayText(payload: Buffer): string {
  const text = payload.latin1Slice(GOAWAY_BYTES, Math.min(payload.length, GOAWAY_BYTES + MAX_GOAWAY_TEXT))
  return text.replace(/[^ -~]/g, '?')
}

/** The connection is gone, or as good as. */
export function lost(peer: string, message: string, cause?: Error): WeirError {
  return new WeirError('CONNECTION_LOST', `${peer}: ${message.trim()}`, { cause })
}
