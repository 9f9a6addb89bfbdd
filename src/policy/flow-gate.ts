import type { FlowSignal } from '../core/agent-messages.ts'

export interface FlowGateOptions {
  /** Requests whose bodies may be paused at once; the oldest pause is forgotten beyond. Default 1000. */
  readonly maxPausedRequests?: number
  /** Milliseconds until a request's pause that was never resumed lapses. Default 60,000. */
  readonly requestPauseTtlMs?: number
}

/** What a signal changed, for the owner of waiting events. */
export type FlowChange = 'closed' | 'opened' | 'window' | 'none'

/** Longer correlation ids are not ours: we bound ids far below, so an agent cannot park large strings here. */
const MAX_ID_LENGTH = 512

/**
 * The agent's flow signals of one connection; the only writer of "is it paused". A signal without correlation
 * id concerns the whole connection, one with an id only that request's body. `update-capacity` moves the byte
 * window and never resumes. What an agent can make us remember is bounded in number, size and time.
 *
 * A pause of the whole connection has no TTL: the agent said stop, and losing it would flood it. It ends with
 * a resume or with the connection.
 */
export class FlowGate {
  readonly #maxPausedRequests: number
  readonly #requestPauseTtlMs: number
  #pausedAt = Number.NaN
  #windowBytes = Number.POSITIVE_INFINITY
  /** Correlation id -> instant the pause lapses. Oldest pause first. */
  readonly #pausedRequests = new Map<string, number>()

  constructor(options: FlowGateOptions = {}) {
    this.#maxPausedRequests = options.maxPausedRequests ?? 1000
    this.#requestPauseTtlMs = options.requestPauseTtlMs ?? 60_000
  }

  /** Whether the agent paused the whole connection. */
  get isPaused(): boolean {
    return !Number.isNaN(this.#pausedAt)
  }

  /** Bytes the agent last said it can take; Infinity when it never said. */
  get windowBytes(): number {
    return this.#windowBytes
  }

  /** Requests remembered as paused, lapsed ones included until they are met or pushed out. */
  get pausedRequests(): number {
    return this.#pausedRequests.size
  }

  /** Milliseconds since the whole connection was paused; 0 when open. */
  pausedForMs(now: number): number {
    return this.isPaused ? now - this.#pausedAt : 0
  }

  /** Whether an event of this request must wait: its connection is paused, or its own body is. */
  isPausedFor(correlationId: string, now: number): boolean {
    if (this.isPaused) return true
    if (this.#pausedRequests.size === 0) return false
    const lapsesAt = this.#pausedRequests.get(correlationId)
    if (lapsesAt === undefined) return false
    if (now < lapsesAt) return true
    this.#pausedRequests.delete(correlationId)
    return false
  }

  /** Takes a signal in. `closed` and `opened` may concern one request only. */
  apply(signal: FlowSignal, now: number): FlowChange {
    const id = signal.correlationId
    switch (signal.action) {
      case 'pause':
        return id === undefined ? this.#pause(now) : this.#pauseRequest(id, now)
      case 'resume':
        return id === undefined ? this.#resume() : this.#resumeRequest(id, now)
      case 'update-capacity':
        return id === undefined ? this.#moveWindow(signal.bufferAvailable) : 'none'
    }
  }

  /** The request ended; a pause of its body is of no interest any more. */
  forget(correlationId: string): void {
    if (this.#pausedRequests.size > 0) this.#pausedRequests.delete(correlationId)
  }

  #pause(now: number): FlowChange {
    if (this.isPaused) return 'none'
    this.#pausedAt = now
    return 'closed'
  }

  #resume(): FlowChange {
    if (!this.isPaused) return 'none'
    this.#pausedAt = Number.NaN
    return 'opened'
  }

  #moveWindow(bytes: number | undefined): FlowChange {
    if (bytes === undefined || !(bytes >= 0) || bytes === this.#windowBytes) return 'none'
    this.#windowBytes = bytes
    return 'window'
  }

  #pauseRequest(id: string, now: number): FlowChange {
    if (id.length > MAX_ID_LENGTH || this.#maxPausedRequests <= 0) return 'none'
    const known = this.#pausedRequests.get(id)
    const wasPaused = known !== undefined && now < known
    this.#pausedRequests.delete(id)
    this.#pausedRequests.set(id, now + this.#requestPauseTtlMs)
    this.#dropSurplus(now)
    return wasPaused ? 'none' : 'closed'
  }

  #resumeRequest(id: string, now: number): FlowChange {
    const lapsesAt = this.#pausedRequests.get(id)
    if (lapsesAt === undefined) return 'none'
    this.#pausedRequests.delete(id)
    return now < lapsesAt ? 'opened' : 'none'
  }

  /** The map is in the order of the pauses, hence of their ends: the front holds what lapsed or is oldest. */
  #dropSurplus(now: number): void {
    for (const [id, lapsesAt] of this.#pausedRequests) {
      if (now < lapsesAt && this.#pausedRequests.size <= this.#maxPausedRequests) return
      this.#pausedRequests.delete(id)
    }
  }
}
