import type { Clock, TimerHandle } from '../core/clock.ts'
import type { ServedLink, ServedRequest } from './served-request.ts'

export interface RequestTableOptions {
  readonly clock: Clock
  /** Requests remembered at most, over all links. */
  readonly capacity: number
  /** Milliseconds without an event after which an idle request is forgotten. */
  readonly idleTtlMs: number
  /** A request was forgotten by age or at the bound; it is out of the table already. */
  readonly onForgotten: (request: ServedRequest, why: 'expired' | 'evicted') => void
}

/**
 * The requests remembered between their events, keyed by link and the proxy's correlation id. Bounded: at
 * capacity the longest idle one gives way. Idle ones form a list in the order in which they came to rest; busy ones
 * are in no list, so neither age nor the bound takes them away.
 */
export class RequestTable {
  readonly #options: RequestTableOptions
  #oldest: ServedRequest | null = null
  #newest: ServedRequest | null = null
  #size = 0
  #sweep: TimerHandle | undefined

  constructor(options: RequestTableOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#size
  }

  /** Every place is taken by a busy request: nothing can be added. */
  get isSaturated(): boolean {
    return this.#size >= this.#options.capacity && this.#oldest === null
  }

  find(served: ServedLink, correlationId: string): ServedRequest | undefined {
    /* Most handlers answer at once and leave nothing behind. */
    return served.requests.size === 0 ? undefined : served.requests.get(correlationId)
  }

  /** Lists a request that is about to be, or is, busy. The caller has seen that the table is not saturated. */
  add(request: ServedRequest): void {
    if (request.isListed) return
    if (this.#size >= this.#options.capacity && this.#oldest !== null) this.#forget(this.#oldest, 'evicted')
    request.isListed = true
    request.served.requests.set(request.correlationId, request)
    this.#size++
  }

  /** A listed request starts to work. */
  wake(request: ServedRequest): void {
    if (request.isListed && this.#isResting(request)) this.#unlink(request)
  }

  /** A listed request has nothing to do: its idle time starts. */
  rest(request: ServedRequest): void {
    request.restingSince = this.#options.clock.now()
    request.older = this.#newest
    request.newer = null
    if (this.#newest === null) this.#oldest = request
    else this.#newest.newer = request
    this.#newest = request
    this.#sweep ??= this.#arm(this.#options.idleTtlMs)
  }

  /** Takes a request out; one that is not listed is left alone. */
  remove(request: ServedRequest): void {
    if (!request.isListed) return
    if (this.#isResting(request)) this.#unlink(request)
    request.isListed = false
    request.served.requests.delete(request.correlationId)
    this.#size--
  }

  /** Makes room by forgetting the longest idle request. False when every one is busy. */
  evictOldest(): boolean {
    if (this.#oldest === null) return false
    this.#forget(this.#oldest, 'evicted')
    return true
  }

  /** Stops the sweep. */
  close(): void {
    this.#sweep?.cancel()
    this.#sweep = undefined
  }

  #isResting(request: ServedRequest): boolean {
    return request.older !== null || this.#oldest === request
  }

  #unlink(request: ServedRequest): void {
    const { older, newer } = request
    if (older === null) this.#oldest = newer
    else older.newer = newer
    if (newer === null) this.#newest = older
    else newer.older = older
    request.older = null
    request.newer = null
  }

  #forget(request: ServedRequest, why: 'expired' | 'evicted'): void {
    this.remove(request)
    this.#options.onForgotten(request, why)
  }

  #arm(delayMs: number): TimerHandle {
    return this.#options.clock.setTimer(delayMs, () => this.#expire())
  }

  #expire(): void {
    this.#sweep = undefined
    const now = this.#options.clock.now()
    const { idleTtlMs } = this.#options
    while (this.#oldest !== null && now - this.#oldest.restingSince >= idleTtlMs)
      this.#forget(this.#oldest, 'expired')
    if (this.#oldest === null) return
    /* At least a hundredth of the TTL apart, so that a busy table is not swept for every single request. */
    const nextIn = Math.max(this.#oldest.restingSince + idleTtlMs - now, idleTtlMs / 100)
    this.#sweep = this.#arm(nextIn)
  }
}
