import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { LeaseWaiter, Refusal } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'
import { unlink, WaiterList } from './waiter-list.ts'

/** What the room asks its pool, in the order of the queue. */
export interface WaitingRoomHost {
  readonly agent: string
  readonly clock: Clock
  /** The connection that this caller has to wait for; undefined: any will do. */
  boundTo(waiter: LeaseWaiter): LiveConnection | undefined
  /** A caller that any connection can serve would find one now, were it no body chunk. */
  hasRoom(): boolean
  /** Tries to lease for a caller of the queue, which nobody may overtake. */
  leaseQueued(waiter: LeaseWaiter): LiveConnection | Refusal
  /** The refusal as an error for a caller that has waited. */
  errorOf(refusal: Refusal): WeirError
  onQueued(waiter: LeaseWaiter, queueMs: number): void
}

/**
 * The bounded queue of a pool. Callers that any connection can serve stand in one line, callers bound to one
 * connection in that connection's line, each first come first served; a connection with room serves its own
 * line first, because those requests have already cost it work. Body chunks that no request binds, and that no byte window
 * has room for, stand aside: other events need no window.
 */
export class WaitingRoom {
  /** Callers that may wait; who waits already stays. */
  capacity: number
  readonly #host: WaitingRoomHost
  readonly #free = new WaiterList()
  /** Body chunks that any connection can serve but for its byte window; they came before whoever stands in the free line. */
  readonly #held = new WaiterList()
  readonly #touched: LiveConnection[] = []
  #isServing = false
  #count = 0

  constructor(host: WaitingRoomHost, capacity: number) {
    this.#host = host
    this.capacity = capacity
  }

  get size(): number {
    return this.#count
  }

  /** Somebody whom any connection can serve waits already. */
  get hasFreeCallers(): boolean {
    return this.#count !== 0 && this.#free.first !== null
  }

  add(waiter: LeaseWaiter): WeirError | undefined {
    if (this.#count >= this.capacity) {
      const message = `agent ${this.#host.agent}: ${this.capacity} callers wait already; raise maxWaiters or add connections`
      return new WeirError('OVERLOADED', message, { sent: false })
    }
    const line = this.#lineOf(waiter)
    const isHeld = line === this.#free && waiter.isBody === true && this.#host.hasRoom()
    if (isHeld) this.#held.push(waiter)
    else line.push(waiter)
    waiter.isWaiting = true
    waiter.waitingSince = this.#host.clock.now()
    this.#count++
    return undefined
  }

  withdraw(waiter: LeaseWaiter): void {
    if (waiter.isWaiting) this.#remove(waiter)
  }

  /** Serves whom it can, now that this connection may have room. Safe to call from a waiter's callback. */
  serve(connection: LiveConnection): void {
    if (this.#count === 0) return
    this.#touched.push(connection)
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (;;) {
        const next = this.#touched.pop()
        if (next === undefined) break
        if (next.bound !== undefined) this.#serveLine(next.bound)
        this.#serveLine(this.#held)
        this.#serveLine(this.#free)
      }
    } finally {
      this.#isServing = false
      this.#touched.length = 0
    }
  }

  /** The connection is gone or picked no more: its callers find another one or are refused. */
  release(connection: LiveConnection): void {
    if (this.#count === 0) return
    const leaving: LeaseWaiter[] = []
    const line = connection.bound
    for (let waiter = line?.first ?? null; waiter !== null; waiter = line!.after(waiter))
      if (this.#host.boundTo(waiter) !== connection) leaving.push(waiter)
    for (const waiter of leaving) {
      if (!waiter.isWaiting) continue
      unlink(waiter)
      if (waiter.pinnedTo === 0) this.#free.push(waiter)
      else this.#refuse(waiter, this.#host.errorOf('affinity-lost'))
    }
    this.serve(connection)
  }

  /**
   * Refuses whoever any connection could have served. Callers bound to one stay: their requests have events there, and it
   * serves them for as long as it lasts.
   */
  refuseFree(error: WeirError): void {
    for (const line of [this.#held, this.#free])
      for (let waiter = line.first; waiter !== null; waiter = line.first) {
        unlink(waiter)
        this.#refuse(waiter, error)
      }
  }

  #serveLine(line: WaiterList): void {
    let waiter = line.first
    while (waiter !== null) {
      const outcome = this.#host.leaseQueued(waiter)
      if (typeof outcome !== 'string') {
        this.#remove(waiter)
        this.#host.onQueued(waiter, this.#host.clock.now() - waiter.waitingSince!)
        waiter.onLeased(outcome)
      } else if (outcome === 'draining' || outcome === 'breaker-open' || outcome === 'affinity-lost') {
        unlink(waiter)
        this.#refuse(waiter, this.#host.errorOf(outcome))
      } else if (
        (outcome === 'paused' || outcome === 'unavailable') &&
        waiter.outlasts?.(outcome) === false
      ) {
        unlink(waiter)
        this.#refuse(waiter, this.#host.errorOf(outcome))
      } else if (waiter.pinnedTo !== 0 && (outcome === 'paused' || this.#host.boundTo(waiter)!.hasRoom)) {
        /* It is a body chunk that is held back; the next in line may go. */
        waiter = line.after(waiter)
        continue
      } else if (waiter.pinnedTo !== 0 || waiter.isBody !== true || !this.#host.hasRoom()) {
        return
      } else if (line === this.#held) {
        /* What holds it back may be said of its request alone. */
        waiter = line.after(waiter)
        continue
      } else {
        unlink(waiter)
        this.#held.push(waiter)
      }
      waiter = line.first
    }
  }

  #lineOf(waiter: LeaseWaiter): WaiterList {
    return this.#host.boundTo(waiter)?.bindWaiters() ?? this.#free
  }

  #remove(waiter: LeaseWaiter): void {
    unlink(waiter)
    waiter.isWaiting = false
    this.#count--
  }

  /** For a waiter that is unlinked already. */
  #refuse(waiter: LeaseWaiter, error: WeirError): void {
    waiter.isWaiting = false
    this.#count--
    waiter.onRefused(error)
  }
}
