import type { Socket } from 'node:net'
import type { WeirError } from '../../core/errors.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import { BodyGate, type GateOwner } from './body-gate.ts'
import type { ClientResponse } from './client-message.ts'
import { onResponseDrained } from './client-message.ts'
import type { Exchange } from './exchange.ts'
import { removeField, setField } from './header-list.ts'
import { ResponseHead } from './response-head.ts'

/**
 * Bodies up to this size go out as a string behind the head, in a single write. A byte is a character of latin1, so
 * nothing is lost. Larger ones cost more to copy than the second piece of a vectored write does.
 */
const ONE_WRITE_BYTES = 4096
/** Bytes a client may lag behind before the upstream is made to wait: two reads of a socket. */
const HIGH_WATER_BYTES = 128 * 1024

/**
 * The response on its way from the upstream to the client. Where agents want the body the head waits for the
 * first verdict on it, so that a refusal can still replace the whole response.
 */
export class ResponseSide implements GateOwner {
  readonly #exchange: Exchange
  readonly #response: ClientResponse
  /** Bytes of the body that went to the client. */
  sentBytes = 0
  #head!: ResponseHead
  /** `waiting` for a verdict on the head, `gated` until the body's first verdict, `open` once the head is out. */
  #state: 'idle' | 'waiting' | 'gated' | 'open' | 'over' = 'idle'
  #gate: BodyGate | undefined
  #isUpstreamDone = false
  #isUpstreamHeld = false
  #isClientSlow = false

  constructor(exchange: Exchange) {
    this.#exchange = exchange
    this.#response = exchange.response
  }

  /** The client takes what we have for it, and does not. */
  get isWaitingForClient(): boolean {
    return this.#isClientSlow
  }

  /** Bytes that the kernel has not taken yet. They shrink while the client reads, long before `drain`. */
  get unsentBytes(): number {
    const socket = this.#response.socket as (Socket & { _handle?: { writeQueueSize?: number } | null }) | null
    return socket === null ? 0 : socket.writableLength + (socket._handle?.writeQueueSize ?? 0)
  }

  /** False: the body waits for a verdict. */
  begin(status: number, rawHeaders: readonly Buffer[]): boolean {
    const exchange = this.#exchange
    this.#head = new ResponseHead(status, rawHeaders, exchange.request.method === 'HEAD')
    exchange.applyPendingResponseOps(this.#head.fields)
    if (exchange.route.chain.wants('response-headers')) {
      this.#state = 'waiting'
      this.#isUpstreamHeld = true
      void exchange.askResponseHead(status, this.#head.fields).then((verdict) => this.#headSettled(verdict))
      return false
    }
    return this.#startBody()
  }

  /** Bytes of the body from the upstream. False: hold. */
  push(chunk: Buffer): boolean {
    if (this.#state === 'over') return true
    if (this.#gate !== undefined) {
      if (this.#gate.push(chunk)) return true
    } else if (this.#head.contentLength === chunk.length) {
      /* The whole body at once leaves in one write with the head. */
      this.sentBytes = chunk.length
      this.#end(chunk)
      return true
    } else if (this.#write(chunk)) return true
    this.#isUpstreamHeld = true
    return false
  }

  /** The upstream said all. */
  end(): void {
    this.#isUpstreamDone = true
    if (this.#state === 'over' || this.#state === 'waiting') return
    if (this.#gate !== undefined) this.#gate.end()
    else this.#end(undefined)
  }

  stop(): void {
    this.#state = 'over'
    this.#gate?.stop()
  }

  /** The client took what was written. */
  drained(): void {
    this.#isClientSlow = false
    this.#exchange.noteProgress()
    if (this.#gate !== undefined) this.#gate.writable()
    else this.#feed()
  }

  gateAsk(data: Uint8Array, chunkIndex: number, isLast: boolean, transferred: number): Promise<Verdict> {
    return this.#exchange.askBody(
      'response-body-chunk',
      data,
      chunkIndex,
      isLast,
      this.#head.contentLength,
      transferred,
    )
  }

  gateAllowed(verdict: Verdict): void {
    this.#exchange.bodyAllowed(verdict, this.#state === 'open')
  }

  gateDenied(verdict: Verdict): void {
    this.#exchange.deny(verdict)
  }

  gateOverflowed(error: WeirError): void {
    this.#exchange.fail(error, 502)
  }

  gateSkipped(): void {
    this.#exchange.bodySkipped('response-body-chunk')
  }

  gateForward(data: Uint8Array): boolean {
    if (this.#state === 'over') return true
    if (this.#state === 'gated') this.#sendGatedHead()
    this.#exchange.scope.responseBodyCommitted = true
    return this.#write(data)
  }

  gateEnded(): void {
    if (this.#state === 'over') return
    if (this.#state === 'gated') this.#sendGatedHead()
    this.#end(undefined)
  }

  gateHungry(): void {
    this.#feed()
  }

  #headSettled(verdict: Verdict): void {
    if (this.#state !== 'waiting') return
    if (!this.#exchange.accept(verdict)) return
    this.#exchange.applyResponseOps(this.#head.fields, verdict.responseHeaders)
    const isFlowing = this.#startBody()
    if (this.#isUpstreamDone) this.end()
    else if (isFlowing) this.#feed()
  }

  #startBody(): boolean {
    const { chain } = this.#exchange.route
    const head = this.#head
    if (head.hasBody && chain.wants('response-body-chunk') && chain.responseBody.mode !== 'none') {
      this.#gate = new BodyGate(this, chain.responseBody, head.contentLength)
      this.#state = 'gated'
    } else this.#sendHead()
    return true
  }

  /** Length as far as it is known by now: a mutation may have changed what the upstream declared. */
  #sendGatedHead(): void {
    const length = this.#gate!.finalLength
    if (length === undefined) removeField(this.#head.fields, 'content-length')
    else setField(this.#head.fields, 'content-length', String(length))
    this.#sendHead()
  }

  #sendHead(): void {
    const { head, exchange } = { head: this.#head, exchange: this.#exchange }
    this.#state = 'open'
    exchange.sendHead(head.status, head.fields)
    /* Without a length the body may be a slow stream whose head the client waits for. */
    if (head.contentLength === undefined && head.hasBody) setImmediate(flushHead, this.#response)
  }

  #write(data: Uint8Array): boolean {
    this.sentBytes += data.length
    /* Node says "full" at 16 KiB, even of what the kernel is about to take. */
    if (this.#response.write(data) || this.#response.writableLength < HIGH_WATER_BYTES) return true
    this.#isClientSlow = true
    this.#response.once('drain', onResponseDrained)
    this.#exchange.watchProgress()
    return false
  }

  #end(chunk: Buffer | undefined): void {
    this.#state = 'over'
    if (chunk === undefined) this.#response.end()
    else if (chunk.length > ONE_WRITE_BYTES) this.#response.end(chunk)
    else this.#response.endWithHead(chunk)
    if (this.#response.writableLength > 0) {
      this.#isClientSlow = true
      this.#exchange.watchProgress()
    }
  }

  #feed(): void {
    if (!this.#isUpstreamHeld || this.#isClientSlow) return
    this.#isUpstreamHeld = false
    this.#exchange.resumeUpstream()
  }
}

function flushHead(response: ClientResponse): void {
  if (response.socket !== null && !response.writableEnded) response.flushHeaders()
}
