import type { Duplex, Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { WeirError } from '../../core/errors.ts'
import type { Upstream } from './upstreams.ts'

/** Who made the call. Called in this order: head, data..., then end or failed, or failed at any time before. */
export interface UpstreamOwner {
  /** Final response head; name and value buffers in turn. False: hold the body until `resume`. */
  upstreamHead(status: number, rawHeaders: readonly Buffer[]): boolean
  /** False: hold further data until `resume`. */
  upstreamData(chunk: Buffer): boolean
  upstreamEnd(): void
  upstreamFailed(error: WeirError): void
  /** The upstream speaks another protocol from here on. */
  upstreamUpgraded(status: number, rawHeaders: readonly Buffer[], socket: Duplex): void
}

/**
 * One request to an upstream, as undici's handler. It uses undici's older handler methods, because they hand
 * out the raw header bytes; the newer ones build an object from them for every response.
 */
export class UpstreamCall implements Dispatcher.DispatchHandler {
  readonly #owner: UpstreamOwner
  #abort: ((reason?: Error) => void) | undefined
  #resume: (() => void) | undefined
  #state: 'queued' | 'connected' | 'over' = 'queued'

  constructor(owner: UpstreamOwner) {
    this.#owner = owner
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  start(
    upstream: Upstream,
    method: string,
    path: string,
    headers: string[],
    body: Buffer | Readable | null,
    upgrade: string | null,
  ): void {
    /* undici takes `servername` here, though its types do not say so. */
    const options: Dispatcher.DispatchOptions & { readonly servername: string | undefined } = {
      method: method as Dispatcher.HttpMethod,
      path,
      headers,
      body,
      upgrade,
      servername: upstream.tlsName,
    }
    upstream.pool.dispatch(options, this)
  }

  /** Gives the call up; the owner hears nothing more of it. */
  abort(): void {
    if (this.#state === 'over') return
    const abort = this.#abort
    this.#state = 'over'
    this.#resume = undefined
    abort?.()
  }

  resume(): void {
    this.#resume?.()
  }

  onConnect(abort: (reason?: Error) => void): void {
    if (this.#state === 'over') {
      abort()
      return
    }
    this.#state = 'connected'
    this.#abort = abort
  }

  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void): boolean {
    if (this.#state === 'over') return false
    /* Interim responses: 100 is answered by us, the others are hints that may be left out. */
    if (status < 200) return true
    this.#resume = resume
    return this.#owner.upstreamHead(status, rawHeaders)
  }

  onData(chunk: Buffer): boolean {
    return this.#state === 'over' ? false : this.#owner.upstreamData(chunk)
  }

  onComplete(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#resume = undefined
    this.#owner.upstreamEnd()
  }

  onError(thrown: Error): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#resume = undefined
    this.#owner.upstreamFailed(upstreamError(thrown))
  }

  onUpgrade(status: number, rawHeaders: Buffer[] | string[] | null, socket: Duplex): void {
    if (this.#state === 'over') {
      socket.destroy()
      return
    }
    this.#state = 'over'
    this.#owner.upstreamUpgraded(status, (rawHeaders ?? []) as readonly Buffer[], socket)
  }
}

/** What went wrong between us and the upstream, in our words: 504 for time, 502 for the rest. */
function upstreamError(cause: Error): WeirError {
  if (cause instanceof WeirError) return cause
  if (cause instanceof errors.ConnectTimeoutError) {
    return new WeirError('TIMEOUT', 'the upstream did not accept a connection in time', {
      cause,
      sent: false,
    })
  }
  if (cause instanceof errors.HeadersTimeoutError) {
    return new WeirError('TIMEOUT', 'the upstream sent no response head in time', { cause })
  }
  if (cause instanceof errors.BodyTimeoutError) {
    return new WeirError('TIMEOUT', 'the upstream stopped sending its response', { cause })
  }
  if (cause instanceof errors.HTTPParserError || cause instanceof errors.ResponseContentLengthMismatchError) {
    return new WeirError('PROTOCOL_ERROR', `the upstream does not speak HTTP/1.1: ${cause.message}`, {
      cause,
    })
  }
  if (cause instanceof errors.HeadersOverflowError) {
    return new WeirError('PROTOCOL_ERROR', 'the response head of the upstream is too large', { cause })
  }
  if (cause instanceof errors.InvalidArgumentError || cause instanceof errors.NotSupportedError) {
    return new WeirError('INVALID_ARGUMENT', `the request cannot be passed on: ${cause.message}`, { cause })
  }
  if (cause instanceof errors.ClientDestroyedError || cause instanceof errors.ClientClosedError) {
    return new WeirError('DRAINING', 'the connections to the upstream are being closed', { cause })
  }
  const code = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new WeirError('CONNECTION_LOST', `the upstream failed: ${code}`, { cause })
}
