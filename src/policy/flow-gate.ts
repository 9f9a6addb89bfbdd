import type { FlowSignal } from '../core/agent-messages.ts'

export interface FlowGateOptions {
  /** Requests with a pause or a window of their own at once; the oldest signal is forgotten beyond. Default 1000. */
  readonly maxRequests?: number
  /** Milliseconds until what was said of one request lapses, unless it is said again. Default 60,000. */
  readonly requestTtlMs?: number
}

/** What a signal changed, for the owner of waiting events. */
export type FlowChange = 'closed' | 'opened' | 'window' | 'none'

/**
 * Why a body chunk may not go now. `paused`: only the agent's word opens it again. `full`: the byte window is used up
 * and opens as replies come.
 */
export type BodyHold = 'paused' | 'full'

/** Longer correlation ids are not ours: we bound ids far below, so an agent cannot park large strings here. */
const MAX_ID_LENGTH = 512

/** Of a chunk that counts for the connection alone. */
export const UNCOUNTED = 0

/** What the agent said of one request's body. */
interface RequestFlow {
  /** Tells chunks that are counted here from those sent before, >= 1. */
  readonly serial: number
  /** Clock milliseconds. */
  lapsesAt: number
  isPaused: boolean
  windowBytes: number
  /** Bytes sent since the agent first spoke of this request, and not settled. */
  bytesInFlight: number
}

/**
 * The agent's flow signals of one connection and the body bytes under way on it; the only writer of "is it paused".
 * A signal without correlation id concerns the whole connection, one with an id only that request's body. What an
 * agent can make us remember is bounded in number, size and time.
 *
 * `update-capacity` moves the byte window and never resumes. A chunk may go while fewer bytes than the window are
 * under way: the window is exceeded by part of one chunk at most, and chunks larger than it still pass one by one.
 * That does not depend on the chunk's own size, so a small one never overtakes a large one. A window of 0 is a pause
 * of bodies.
 *
 * A pause or window of the whole connection has no TTL: the agent said stop, and losing it would flood it. It ends
 * with the agent's word or with the connection.
 */
export class FlowGate {
  readonly #maxRequests: number
  readonly #requestTtlMs: number
  #isPaused = false
  #windowBytes = Number.POSITIVE_INFINITY
  #bytesInFlight = 0
  /** By correlation id, oldest signal first. */
  readonly #requests = new Map<string, RequestFlow>()
  #lastSerial = UNCOUNTED

  constructor(options: FlowGateOptions = {}) {
    this.#maxRequests = options.maxRequests ?? 1000
    this.#requestTtlMs = options.requestTtlMs ?? 60_000
  }

  /** Whether the agent paused the whole connection. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Bytes the agent last said it can take; Infinity when it never said. */
  get windowBytes(): number {
    return this.#windowBytes
  }

  /** Bytes of body chunks sent and not settled. */
  get bytesInFlight(): number {
    return this.#bytesInFlight
  }

  /** Requests of which something is remembered, lapsed ones included until they are met or pushed out. */
  get requests(): number {
    return this.#requests.size
  }

  /** Why a body chunk of this request must wait; undefined: it may go. */
  holdsBody(correlationId: string, now: number): BodyHold | undefined {
    if (this.isPaused) return 'paused'
    const hold = holdOf(this.#windowBytes, this.#bytesInFlight)
    if (hold !== undefined || this.#requests.size === 0) return hold
    const flow = this.#requests.get(correlationId)
    if (flow === undefined) return undefined
    if (now >= flow.lapsesAt) {
      this.#requests.delete(correlationId)
      return undefined
    }
    return flow.isPaused ? 'paused' : holdOf(flow.windowBytes, flow.bytesInFlight)
  }

  /**
   * A body chunk was leased to the connection. Each is settled once, with the number returned here: what it is counted
   * under for its request, {@link UNCOUNTED} when the agent has not spoken of that.
   */
  sent(correlationId: string, bytes: number): number {
    this.#bytesInFlight += bytes
    if (this.#requests.size === 0) return UNCOUNTED
    const flow = this.#requests.get(correlationId)
    if (flow === undefined) return UNCOUNTED
    flow.bytesInFlight += bytes
    return flow.serial
  }

  /** The chunk was answered or given up. */
  settled(correlationId: string, bytes: number, serial: number): void {
    this.#bytesInFlight -= bytes
    if (serial === UNCOUNTED || this.#requests.size === 0) return
    const flow = this.#requests.get(correlationId)
    if (flow !== undefined && flow.serial === serial) flow.bytesInFlight -= bytes
  }

  /** Takes a signal in. What changed may concern one request only. */
  apply(signal: FlowSignal, now: number): FlowChange {
    const id = signal.correlationId
    switch (signal.action) {
      case 'pause':
        return id === undefined ? this.#pause() : this.#pauseRequest(id, now)
      case 'resume':
        return id === undefined ? this.#resume() : this.#resumeRequest(id, now)
      case 'update-capacity':
        return this.#moveWindow(id, signal.bufferAvailable, now)
    }
  }

  /** The request ended; what was said of it is of no interest any more. */
  forget(correlationId: string): void {
    if (this.#requests.size > 0) this.#requests.delete(correlationId)
  }

  #pause(): FlowChange {
    if (this.isPaused) return 'none'
    this.#isPaused = true
    return 'closed'
  }

  #resume(): FlowChange {
    if (!this.isPaused) return 'none'
    this.#isPaused = false
    return 'opened'
  }

  #moveWindow(id: string | undefined, bytes: number | undefined, now: number): FlowChange {
    if (bytes === undefined || !(bytes >= 0)) return 'none'
    const flow = id === undefined ? undefined : this.#told(id, now)
    if (flow !== undefined) {
      if (bytes === flow.windowBytes) return 'none'
      flow.windowBytes = bytes
      return 'window'
    }
    if (id !== undefined || bytes === this.#windowBytes) return 'none'
    this.#windowBytes = bytes
    return 'window'
  }

  #pauseRequest(id: string, now: number): FlowChange {
    const flow = this.#told(id, now)
    if (flow === undefined || flow.isPaused) return 'none'
    flow.isPaused = true
    return 'closed'
  }

  #resumeRequest(id: string, now: number): FlowChange {
    const flow = this.#requests.get(id)
    if (flow === undefined || !flow.isPaused) return 'none'
    flow.isPaused = false
    if (flow.windowBytes === Number.POSITIVE_INFINITY) this.#requests.delete(id)
    return now < flow.lapsesAt ? 'opened' : 'none'
  }

  /** What is remembered of a request the agent speaks of now; undefined when its id cannot be one of ours. */
  #told(id: string, now: number): RequestFlow | undefined {
    if (id.length > MAX_ID_LENGTH || this.#maxRequests <= 0) return undefined
    const known = this.#requests.get(id)
    const lapsesAt = now + this.#requestTtlMs
    const flow =
      known !== undefined && now < known.lapsesAt
        ? known
        : {
            serial: ++this.#lastSerial,
            lapsesAt,
            isPaused: false,
            windowBytes: Number.POSITIVE_INFINITY,
            bytesInFlight: 0,
          }
    flow.lapsesAt = lapsesAt
    this.#requests.delete(id)
    this.#requests.set(id, flow)
    this.#dropSurplus(now)
    return flow
  }

  /** The map is in the order of the signals, hence of their ends: the front holds what lapsed or is oldest. */
  #dropSurplus(now: number): void {
    for (const [id, { lapsesAt }] of this.#requests) {
      if (now < lapsesAt && this.#requests.size <= this.#maxRequests) return
      this.#requests.delete(id)
    }
  }
}

function holdOf(windowBytes: number, bytesInFlight: number): BodyHold | undefined {
  if (bytesInFlight < windowBytes) return undefined
  return windowBytes === 0 ? 'paused' : 'full'
}
