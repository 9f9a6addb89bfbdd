import { WeirError } from '../../core/errors.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import { BodyGate, type GateOwner } from './body-gate.ts'
import type { ClientRequest } from './client-message.ts'
import type { Exchange } from './exchange.ts'
import { type BodySource, UpstreamBody } from './upstream-body.ts'

/**
 * Bodies declared no larger than this are collected before the upstream is called: head and body then leave in
 * one write, and a client that drips them holds no upstream connection.
 */
const SMALL_BODY_BYTES = 16 * 1024

/**
 * The request body on its way from the client to the upstream: passed on, or through a gate. With a gate the
 * upstream is called when the first bytes may go, so a refused body never shows there.
 */
export class RequestSide implements GateOwner, BodySource {
  readonly #exchange: Exchange
  readonly #request: ClientRequest
  /** Bytes that came from the client. */
  receivedBytes = 0
  #gate: BodyGate | undefined
  /** A small body being collected. */
  #parts: Buffer[] | undefined
  #body: UpstreamBody | undefined
  #isOver = false
  #isComplete = false
  /** When the body began to be awaited. */
  #startedAt = 0
  /** When we stopped reading; undefined while we read. */
  #heldAt: number | undefined
  /** Time in which we did not read, milliseconds. */
  #heldMs = 0

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.#request = exchange.request
  }

  /** The client has more to send, and nobody but the client holds it up. */
  get isWaitingForClient(): boolean {
    return !this.#isComplete && !this.#isOver && !this.#request.isPaused()
  }

  /** When a client as slow as this one has run out of time; `Infinity`: it cannot. */
  get dueAt(): number {
    const { bodyTimeoutMs, bodyMinBytesPerSecond } = this.#exchange.settings
    if (bodyTimeoutMs === 0 || this.#isComplete || this.#isOver || this.#heldAt !== undefined) return Infinity
    const earnedMs = bodyMinBytesPerSecond === 0 ? 0 : (this.receivedBytes * 1000) / bodyMinBytesPerSecond
    return this.#startedAt + this.#heldMs + bodyTimeoutMs + earnedMs
  }

  /** The agents let the head pass. */
  start(): void {
    const exchange = this.#exchange
    const { shape } = this.#request
    if (shape.framing === 'none') {
      this.#isComplete = true
      exchange.callUpstream(null)
      return
    }
    const { chain } = exchange.route
    const length = shape.contentLength
    if (chain.wants('request-body-chunk') && chain.requestBody.mode !== 'none') {
      const plan = chain.requestBody
      if (plan.onTooLarge === 'reject' && length !== undefined && length > plan.maxBytes) {
        exchange.fail(tooLarge(length, plan.maxBytes))
        return
      }
      this.#gate = new BodyGate(this, plan, length)
    } else if (length !== undefined && length <= SMALL_BODY_BYTES) {
      this.#parts = []
    } else {
      this.#body = new UpstreamBody(this)
      exchange.callUpstream(this.#body)
    }
    this.#startedAt = exchange.now()
    exchange.continueBody()
    this.#request.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#request.on('end', () => this.#onEnd())
  }

  /** The body goes nowhere any more; what still comes is read and forgotten. */
  stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#gate?.stop()
    this.#body?.destroy()
    if (!this.#isComplete) this.#request.resume()
  }

  bodyWanted(): void {
    if (this.#isOver) return
    if (this.#gate !== undefined) this.#gate.writable()
    else if (this.#request.isPaused()) this.#read()
  }

  /** The upstream answered without reading to the end, or failed. */
  bodyUnwanted(): void {
    if (!this.#isComplete) this.stop()
  }

  gateAsk(data: Uint8Array, chunkIndex: number, isLast: boolean, transferred: number): Promise<Verdict> {
    return this.#exchange.askBody(
      'request-body-chunk',
      data,
      chunkIndex,
      isLast,
      this.#request.shape.contentLength,
      transferred,
    )
  }

  gateAllowed(verdict: Verdict): void {
    this.#exchange.bodyAllowed(verdict, this.#body !== undefined)
  }

  gateDenied(verdict: Verdict): void {
    this.#exchange.deny(verdict)
  }

  gateOverflowed(error: WeirError): void {
    this.#exchange.fail(error)
  }

  gateSkipped(): void {
    this.#exchange.bodySkipped('request-body-chunk')
  }

  gateForward(data: Uint8Array): boolean {
    if (this.#isOver) return true
    const gate = this.#gate!
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#exchange.scope.requestBodyCommitted = true
    if (this.#body === undefined) {
      const length = gate.finalLength
      if (length === bytes.length) {
        this.#parts = [bytes]
        return true
      }
      this.#body = new UpstreamBody(this)
      this.#exchange.setRequestLength(length)
      this.#exchange.callUpstream(this.#body)
    }
    return this.#body.push(bytes)
  }

  gateEnded(): void {
    if (this.#isOver) return
    if (this.#body === undefined) this.#sendWhole(this.#parts?.[0] ?? EMPTY)
    else this.#body.push(null)
  }

  gateHungry(): void {
    this.#read()
  }

  #onData(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    this.#exchange.noteProgress()
    if (this.#isOver) return
    if (this.#parts !== undefined && this.#gate === undefined) this.#parts.push(chunk)
    else if (this.#gate !== undefined) {
      if (!this.#gate.push(chunk)) this.#hold()
    } else if (!this.#body!.push(chunk)) this.#hold()
  }

  #hold(): void {
    this.#heldAt ??= this.#exchange.now()
    this.#request.pause()
  }

  #read(): void {
    if (this.#heldAt !== undefined) this.#heldMs += this.#exchange.now() - this.#heldAt
    this.#heldAt = undefined
    this.#request.resume()
  }

  #onEnd(): void {
    this.#isComplete = true
    if (this.#isOver) return
    if (this.#gate !== undefined) this.#gate.end()
    else if (this.#parts !== undefined) {
      const parts = this.#parts
      this.#sendWhole(parts.length === 1 ? parts[0]! : Buffer.concat(parts))
    } else this.#body!.push(null)
  }

  #sendWhole(body: Buffer): void {
    this.#exchange.setRequestLength(body.length)
    this.#exchange.callUpstream(body)
  }
}

const EMPTY = Buffer.alloc(0)

function tooLarge(length: number, limit: number): WeirError {
  return new WeirError('TOO_LARGE', `the body is ${length} bytes, allowed here are ${limit}`)
}
