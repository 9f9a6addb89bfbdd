import { WeirError } from '../core/errors.ts'
import type { LiveConnection } from './live-connection.ts'

/** Pings in a row without a pong after which a connection counts as half open. */
const MISSES = 2

/**
 * Proof of life of one connection. Replies prove it too, so a busy connection is never pinged; an idle one is,
 * every `intervalMs`. Two pings missed, and the connection is dropped: its socket leads nowhere.
 */
export class Heartbeat {
  readonly #intervalMs: number
  #beatAt: number
  #misses = 0
  #isOut = false

  /** `intervalMs` 0: never. */
  constructor(intervalMs: number, now: number) {
    this.#intervalMs = intervalMs
    this.#beatAt = now
  }

  /** Pings when due. Returns the instant of the next look, clock milliseconds. */
  visit(live: LiveConnection, now: number): number {
    if (this.#intervalMs <= 0) return Number.POSITIVE_INFINITY
    if (live.repliedAt > this.#beatAt) {
      this.#beatAt = live.repliedAt
      this.#misses = 0
    }
    const dueAt = this.#beatAt + this.#intervalMs
    if (now < dueAt) return dueAt
    this.#beatAt = now
    if (!this.#isOut) void this.#ping(live)
    return now + this.#intervalMs
  }

  async #ping(live: LiveConnection): Promise<void> {
    const sentAt = live.clock.now()
    this.#isOut = true
    try {
      const roundTripMs = await live.connection.ping(this.#intervalMs / 2)
      this.#misses = 0
      live.ponged(roundTripMs)
    } catch {
      if (live.stage === 'gone') return
      if (live.repliedAt > sentAt) this.#misses = 0
      else this.#missed(live)
    } finally {
      this.#isOut = false
    }
  }

  #missed(live: LiveConnection): void {
    this.#misses++
    live.missedPing()
    if (this.#misses < MISSES) return
    const message = `agent ${live.agent}: ${live.connection.peer} answered neither of ${MISSES} pings`
    live.destroy(new WeirError('CONNECTION_LOST', message))
  }
}
