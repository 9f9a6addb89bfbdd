import type { Duplex } from 'node:stream'
import type { Verdict } from '../../../proxy/verdict.ts'
import { CLOSE, emptyContinuation, type Frame } from './frame.ts'
import { FrameParser } from './frame-parser.ts'

/** What a direction needs from the tunnel it is part of. */
export interface FrameGateOwner {
  /** Asks the agents about one frame. Never rejects. */
  askFrame(frame: Frame, clientToServer: boolean, frameIndex: number): Promise<Verdict>
  /** Both sides shall be closed. `by` is the direction whose frame caused it. */
  closeBoth(code: number, reason: string): void
  /** A close frame was passed on: this direction has nothing more to say. */
  closePassed(): void
}

/** Payload bytes that may wait for verdicts before the sender is stopped. */
const HIGH_WATER_BYTES = 256 * 1024

/**
 * One direction of an inspected WebSocket connection: frames are asked about one after the other and passed on
 * as they came. A dropped piece of a fragmented message is replaced by an empty one, a dropped first piece takes
 * the rest of its message along, so the receiver never sees a broken message. A close frame cannot be dropped.
 */
export class FrameGate {
  readonly #owner: FrameGateOwner
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #fromClient: boolean
  readonly #parser: FrameParser
  readonly #queue: Frame[] = []
  #queuedBytes = 0
  #frameIndex = 0
  #isAsking = false
  #isBlocked = false
  #isOver = false
  #isSourceEnded = false
  #isDroppingMessage = false

  constructor(owner: FrameGateOwner, from: Duplex, to: Duplex, fromClient: boolean, maxFrameBytes: number) {
    this.#owner = owner
    this.#from = from
    this.#to = to
    this.#fromClient = fromClient
    this.#parser = new FrameParser(fromClient, maxFrameBytes)
    from.on('data', (chunk: Buffer) => this.#onData(chunk))
    to.on('drain', () => {
      this.#isBlocked = false
      this.#advance()
    })
  }

  /** The sender is gone; the receiver hears of it after the last frame. */
  sourceEnded(): void {
    this.#isSourceEnded = true
    if (!this.#isOver) this.#advance()
    else if (!this.#to.writableEnded) this.#to.end()
  }

  /** Nothing more passes; what still comes is read and forgotten. */
  stop(): void {
    this.#isOver = true
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#from.resume()
  }

  #onData(chunk: Buffer): void {
    if (this.#isOver) return
    this.#parser.push(chunk)
    for (;;) {
      const frame = this.#parser.next()
      if (frame === undefined) break
      if ('code' in frame) {
        this.#owner.closeBoth(frame.code, frame.reason)
        return
      }
      this.#queue.push(frame)
      this.#queuedBytes += frame.length
    }
    this.#advance()
  }

  #advance(): void {
    if (this.#isOver) return
    if (!this.#isAsking && !this.#isBlocked) this.#askNext()
    if (this.#isSourceEnded && !this.#isAsking && this.#queue.length === 0) {
      this.stop()
      this.#to.end()
      return
    }
    if (this.#queuedBytes >= HIGH_WATER_BYTES) this.#from.pause()
    else if (this.#from.isPaused()) this.#from.resume()
  }

  #askNext(): void {
    const frame = this.#queue.shift()
    if (frame === undefined) return
    this.#queuedBytes -= frame.length
    this.#isAsking = true
    void this.#owner
      .askFrame(frame, this.#fromClient, this.#frameIndex++)
      .then((verdict) => this.#settle(frame, verdict))
  }

  #settle(frame: Frame, verdict: Verdict): void {
    this.#isAsking = false
    if (this.#isOver) return
    if (verdict.error !== undefined) {
      this.#owner.closeBoth(CLOSE.internalError, 'inspection failed')
      return
    }
    const decision = verdict.websocketDecision
    if (decision?.kind === 'close') {
      this.#owner.closeBoth(decision.code, decision.reason)
      return
    }
    if (decision === undefined && verdict.decision.kind !== 'allow') {
      this.#owner.closeBoth(CLOSE.policyViolation, 'refused')
      return
    }
    if (decision?.kind === 'drop') this.#drop(frame)
    else this.#pass(frame)
    this.#advance()
  }

  #pass(frame: Frame): void {
    if (this.#isDroppingMessage && frame.opcode === 'continuation') {
      this.#isDroppingMessage = !frame.fin
      return
    }
    for (const part of frame.bytes) this.#write(part)
    if (frame.opcode === 'close') {
      this.stop()
      this.#owner.closePassed()
    }
  }

  #drop(frame: Frame): void {
    switch (frame.opcode) {
      case 'close':
        this.#pass(frame)
        break
      case 'text':
      case 'binary':
        this.#isDroppingMessage = !frame.fin
        break
      case 'continuation':
        if (this.#isDroppingMessage) this.#isDroppingMessage = !frame.fin
        else this.#write(emptyContinuation(frame.fin, this.#fromClient))
        break
      case 'ping':
      case 'pong':
        break
    }
  }

  #write(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.#to.write(bytes)) this.#isBlocked = true
  }
}
