import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { ChannelListener } from '../channel/byte-channel.ts'
import type { ReadListener } from '../channel/read-buffers.ts'
import { Http2Connection, lost, type StreamOwner } from '../h2/connection.ts'
import { PREFACE, rstStreamFrame, SETTING, settingsFrame } from '../h2/frames.ts'
import { FRAME_BYTES, HEADER_LIST_BYTES, STREAM_WINDOW_BYTES } from '../h2/limits.ts'
import { PingWatch } from '../h2/ping-watch.ts'
import type { Field } from '../h2/static-table.ts'
import { H2_ERROR, Violation } from '../h2/violation.ts'
import { areMalformedTrailers, headersOf, isMalformedRequest } from './call-headers.ts'
import { ResetBudget } from './reset-budget.ts'
import { type CallOwner, ServerCall } from './server-call.ts'

/** Calls at once on one connection of one proxy; more wait at the client. */
const MAX_STREAMS = 1024
/** More than the changes of one read, and few enough that a count of kept data fits below them exactly. */
const CHANGES_TOLD_APART = 2 ** 20
/** How long a client may take for its HTTP/2 preface and settings, milliseconds. */
const GREETING_TIMEOUT_MS = 10_000
/** How long a connection may be silent towards a ping before it is taken for dead, milliseconds. */
const PING_MS = 30_000

const SETTINGS = settingsFrame([
  [SETTING.maxConcurrentStreams, MAX_STREAMS],
  [SETTING.initialWindowSize, STREAM_WINDOW_BYTES],
  [SETTING.maxFrameSize, FRAME_BYTES],
  [SETTING.maxHeaderListSize, HEADER_LIST_BYTES],
])

/** What a session asks of the server that it belongs to. */
export interface SessionOwner {
  readonly clock: Clock
  onCall(call: ServerCall): void
  onSessionClosed(session: ServerSession): void
}

/** One HTTP/2 connection of a client, with its calls. */
export class ServerSession implements StreamOwner, CallOwner, ReadListener {
  readonly connection: Http2Connection
  readonly #owner: SessionOwner
  readonly #calls = new Map<number, ServerCall>()
  readonly #resets: ResetBudget
  readonly #watch: PingWatch
  readonly #greetingTimer
  /** Bytes of the preface that have come. */
  #prefaceBytes = 0
  /** The highest stream that was opened. */
  #lastStream = 0
  /** The highest stream that was not refused: a client may repeat those above. */
  #lastTaken = 0
  #isEnding = false
  #windowChange = 0
  /** Calls that came and went: what was kept of one says nothing of another. */
  #changes = 0

  /** Whoever made `socket` calls `onData` with what it reads. */
  constructor(socket: Socket, peer: string, owner: SessionOwner) {
    const { clock } = owner
    this.#owner = owner
    this.#resets = new ResetBudget(clock)
    this.connection = new Http2Connection(socket, this, peer, false)
    this.connection.start([SETTINGS])
    this.#watch = new PingWatch(this.connection, { intervalMs: PING_MS, timeoutMs: PING_MS }, clock)
    this.#greetingTimer = clock.setTimer(GREETING_TIMEOUT_MS, () => {
      if (!this.connection.isGreeted)
        this.connection.fail(new WeirError('TIMEOUT', `${peer} did not begin HTTP/2 in time`))
    })
  }

  get lastTaken(): number {
    return this.#lastTaken
  }

  /** Takes no more calls, and ends when those that are open have. */
  close(): void {
    this.#isEnding = true
    if (this.#calls.size === 0) this.connection.end()
    else this.connection.retire()
  }

  /** What was read from the socket. */
  onData(chunk: Buffer): void {
    if (this.#prefaceBytes === PREFACE.length) this.connection.push(chunk)
    else this.#readPreface(chunk)
  }

  /**
   * Memory is used again only while there is one call: what several hold of it is not known. Numbers beyond 2 ** 53 would
   * hide that one more is kept.
   */
  keptCount(): number | undefined {
    const kept = this.#only?.keptCount?.()
    return kept === undefined ? undefined : (this.#changes % CHANGES_TOLD_APART) * 2 ** 32 + kept
  }

  heldBytes(): number {
    return this.#only?.heldBytes?.() ?? 0
  }

  moveHeld(to: Buffer): number {
    return this.#only?.moveHeld?.(to) ?? 0
  }

  onDataBegin(stream: number, length: number): void {
    this.#known(stream)?.onDataBegin(length)
  }

  onStreamData(stream: number, data: Buffer): void {
    this.#calls.get(stream)?.onData(data)
  }

  onDataEnd(stream: number, isLast: boolean): void {
    this.#calls.get(stream)?.onDataEnd(isLast)
  }

  onHeaders(stream: number, fields: readonly Field[], isLast: boolean): void {
    const known = this.#calls.get(stream)
    if (known !== undefined) {
      if (!isLast) throw new Violation(H2_ERROR.protocol, 'trailers that do not end the stream')
      if (areMalformedTrailers(fields)) {
        this.connection.answer(rstStreamFrame(stream, H2_ERROR.protocol))
        known.onLost(new WeirError('PROTOCOL_ERROR', `${known.peer} sent malformed trailers`))
      } else known.onRequestEnd()
      return
    }
    if (stream % 2 === 0) throw new Violation(H2_ERROR.protocol, `a client opened stream ${stream}`)
    /* The trailers of a call that is over already. */
    if (stream <= this.#lastStream) return
    this.#lastStream = stream
    if (this.#isEnding || this.#calls.size >= MAX_STREAMS) {
      this.connection.answer(rstStreamFrame(stream, H2_ERROR.refusedStream))
      return
    }
    this.#lastTaken = stream
    if (isMalformedRequest(fields)) this.connection.answer(rstStreamFrame(stream, H2_ERROR.protocol))
    else this.#open(stream, fields, isLast)
  }

  onReset(stream: number, code: number): void {
    const call = this.#known(stream)
    if (call === undefined) return
    if (!this.#resets.take())
      throw new Violation(H2_ERROR.enhanceYourCalm, 'calls are opened and reset by the thousand')
    call.onReset(code)
  }

  onStreamWindow(stream: number, increment: number): void {
    const call = this.#known(stream)
    call?.onWindow(increment)
    call?.pump()
  }

  /** By how much the window that calls begin with grew since the connection began, bytes. */
  get windowChange(): number {
    return this.#windowChange
  }

  /** Each call takes it over when it counts: there may be many calls, and many changes in a few bytes. */
  onInitialWindow(change: number): void {
    this.#windowChange += change
  }

  onRoom(): void {
    for (const call of this.#calls.values()) call.pump()
  }

  /** A client that retires ends its calls when it likes. */
  onGoaway(): void {}

  onClosed(failure: WeirError | undefined): void {
    this.#watch.stop()
    this.#greetingTimer.cancel()
    const reason = failure ?? lost(this.connection.peer, 'the connection was closed')
    for (const call of [...this.#calls.values()]) call.onLost(reason)
    this.#owner.onSessionClosed(this)
  }

  onCallClosed(stream: number): void {
    this.#changes++
    this.#calls.delete(stream)
    if (this.#isEnding && this.#calls.size === 0) this.connection.end()
  }

  #open(stream: number, fields: readonly Field[], isLast: boolean): void {
    const call = new ServerCall(this, stream, headersOf(fields))
    this.#changes++
    this.#calls.set(stream, call)
    this.#owner.onCall(call)
    if (isLast) call.onRequestEnd()
  }

  /** The listener of the one call there is. */
  get #only(): ChannelListener | undefined {
    if (this.#calls.size !== 1) return undefined
    for (const call of this.#calls.values()) return call.listener
    return undefined
  }

  /** Undefined for a call that is over. @throws Violation for a stream that was never opened */
  #known(stream: number): ServerCall | undefined {
    if (stream > this.#lastStream || stream % 2 === 0)
      throw new Violation(H2_ERROR.protocol, `stream ${stream} was never opened`)
    return this.#calls.get(stream)
  }

  #readPreface(chunk: Buffer): void {
    const count = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length)
    const expected = PREFACE.slice(this.#prefaceBytes, this.#prefaceBytes + count)
    if (chunk.latin1Slice(0, count) !== expected) {
      const { peer } = this.connection
      this.connection.fail(new WeirError('PROTOCOL_ERROR', `${peer} does not speak HTTP/2`))
      return
    }
    this.#prefaceBytes += count
    if (count < chunk.length) this.connection.push(chunk.subarray(count))
  }
}
