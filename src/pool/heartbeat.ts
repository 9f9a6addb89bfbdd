import { WeirError } from '../core/errors.ts'
import type { LiveConnection } from './live-connection.ts'

/** Pings in a row without a pong after which a connection counts as half open. */
const MISSES = 2
/** A pong that took this long, milliseconds, ends a silence: the agent was stopped or stuck, and is not any more. */
const SILENT_MS = 500

/**
 * Proof of life of one connection that has been silent for a heartbeat's interval. Replies prove it too, so a busy
 * connection is never pinged; an idle one is, every interval. Two pings missed, and the connection is dropped: its
 * socket leads nowhere. Lasts from a ping to its pong, so a connection that is well has none.
 */
export class Heartbeat {
  /** Clock milliseconds of the last ping. */
  beatAt = 0
  #misses = 0
  #isOut = false

  beat(live: LiveConnection, now: number, intervalMs: number): void {
    if (live.aliveAt > this.beatAt) this.#misses = 0
    this.beatAt = now
    if (!this.#isOut) void this.#ping(live, intervalMs)
  }

  /** Pings now, also a connection that is not silent yet, unless a ping is under way. */
  knock(live: LiveConnection, now: number, intervalMs: number): void {
    if (!this.#isOut) this.beat(live, now, intervalMs)
  }

  async #ping(live: LiveConnection, intervalMs: number): Promise<void> {
    const sentAt = live.clock.now()
    this.#isOut = true
    try {
      const roundTripMs = await live.connection.ping(intervalMs / 2)
      const wasSilent = this.#misses > 0 || roundTripMs >= SILENT_MS
      this.#misses = 0
      live.ponged(this.beatAt, wasSilent)
    } catch {
      if (live.stage === 'gone') return
      if (live.aliveAt > sentAt) this.#misses = 0
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
