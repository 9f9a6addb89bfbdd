import type { Strategy } from '../policy/picker.ts'
import type { LeaseHints } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'

/**
 * Longest last reply time of connections that take bursts, and longest silence of one that does, milliseconds. Many
 * agents work on the events of one connection one after the other: a burst makes its last event wait for all before it,
 * which must not be felt.
 */
export const MAX_REPLY_MS = 10

/** What the connections of a pool have to do, as their owner counts it. */
export interface PoolLoad {
  /** Leases of all its connections, given out and not released. */
  readonly inFlight: number
  /** Connections in use whose last reply took longer than {@link MAX_REPLY_MS}, or that have not replied yet. */
  readonly slow: number
}

/**
 * Measured with 8 and 64 in flight on 4 connections and two cores: 1 gathers less, without a bound 8 in flight are half as
 * fast. See bench/README.md.
 */
const FAIR_SHARES = 2

/**
 * Keeps events together that can leave in one write: those of one tick, and under load of one turn of the event loop.
 * Answers arrive many at once, and so do the next events: spread over all connections each would need a write of its own,
 * and the agent a read. Figures are in bench/README.md.
 *
 * A burst stays within twice a connection's fair share of what is in flight: all of it in one burst would go to and fro
 * as one, and while the agent works on it this side would wait, and the other way round.
 *
 * A burst is one turn of the strategy, and whether turns are bursts is decided for the pool as a whole, by its slowest
 * connection: with bursts for some and single events for the others the shares of traffic would follow from that, and not
 * from the strategy. Callers with a session key or a connection to avoid are no part of it.
 */
export class Burst {
  readonly #weighs: Strategy['weighs']
  readonly #max: number
  #live: LiveConnection | undefined
  #length = 0
  /** Events that the present burst may have. */
  #bound = 0

  /** `weighs`: as the strategy that chooses where bursts go. `max`: events per burst, >= 1. */
  constructor(weighs: Strategy['weighs'], max: number) {
    this.#weighs = weighs
    this.#max = max
  }

  /** The connection that the event before went to, while more may follow it there in the same write. */
  follow({ sessionKey, avoid }: LeaseHints, { slow }: PoolLoad): LiveConnection | undefined {
    const live = this.#live
    if (live === undefined || this.#length >= this.#bound || !live.connection.isGathering) return undefined
    if (sessionKey !== undefined || avoid === live.id || slow !== 0) return undefined
    if (!live.isAvailable || live.silentMs > MAX_REPLY_MS) return undefined
    this.#length++
    return live
  }

  /** The strategy chose this one. `fairShare`: events in flight per connection, this one not counted. */
  begin(live: LiveConnection | undefined, fairShare: number): void {
    this.#live = live
    this.#length = 1
    const isSingle = this.#weighs === 'load' && live !== undefined && live.weight < 1
    this.#bound = isSingle ? 1 : Math.min(this.#max, FAIR_SHARES * fairShare + 1)
  }
}
