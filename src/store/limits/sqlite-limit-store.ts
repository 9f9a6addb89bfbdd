import type { Clock } from '../../core/clock.ts'
import { type HostClock, hostClock } from '../host-clock.ts'
import type { Store } from '../store.ts'
import type { BanChangeRow, BanRow } from './ban-ops.ts'
import type { ExpireResult } from './bucket-ops.ts'
import type { LookAfterResult } from './bucket-reads.ts'
import type { HostMoment } from './host-moment.ts'
import { ASK, ASK_FIELDS, GRANT, GRANT_FIELDS } from './lease-frames.ts'
import type { BucketFacts, RowAsk, RowGrant } from './lease-row.ts'

interface Ask extends RowAsk {
  readonly key: string
  readonly atMs: number
}

/** Rows looked at per step of housekeeping or of a look: a few milliseconds of the store thread. */
const SCAN = 2000
/** Housekeeping goes on while at least this share of a step could be forgotten: there is more of that. */
const WORTH_GOING_ON = 0.5
/** But no longer than this, milliseconds, and no more steps: the store thread is there for tokens. */
const LONGEST_HOUSEKEEPING_MS = 400
const MOST_STEPS = 50

/** Buckets and bans in the file, shared with every other process that has it open. */
export class SqliteLimitStore {
  readonly #store: Store
  readonly #clock: Clock
  readonly #host: HostClock

  constructor(store: Store, clock: Clock, host: HostClock = hostClock()) {
    this.#store = store
    this.#clock = clock
    this.#host = host
  }

  whenReplaced(listener: () => void): void {
    this.#store.whenReplaced(listener)
  }

  async settle(asks: readonly Ask[]): Promise<readonly RowGrant[]> {
    const frames = new Float64Array(asks.length * ASK_FIELDS)
    const keys: string[] = []
    for (let index = 0; index < asks.length; index++) {
      const ask = asks[index]!
      const at = index * ASK_FIELDS
      keys.push(ask.key)
      frames[at + ASK.rate] = ask.rate
      frames[at + ASK.burst] = ask.burst
      frames[at + ASK.atMs] = ask.atMs + this.#host.offsetMs
      frames[at + ASK.seq] = ask.seq
      frames[at + ASK.give] = ask.give
      frames[at + ASK.owed] = ask.owed
      frames[at + ASK.want] = ask.want
      frames[at + ASK.least] = ask.least
      frames[at + ASK.ahead] = ask.ahead
    }
    const grants = await this.#store.call('settleLeases', {
      host: this.#host.identity,
      wallMs: this.#clock.wallMs(),
      keys,
      asks: frames,
    })
    return keys.map((_, index) => this.#grantAt(grants, index * GRANT_FIELDS))
  }

  changeBan(change: BanChangeRow, newestKnown?: number): Promise<BanRow> {
    return this.#store.call('changeBan', { ...change, newestKnown })
  }

  bansSince(revision: number): Promise<readonly BanRow[]> {
    return this.#store.call('bansSince', revision)
  }

  banHistory(agent: string | undefined, limit: number): Promise<readonly BanRow[]> {
    return this.#store.call('banHistory', { agent, limit })
  }

  /**
   * Expired sessions leave with the buckets. Many short steps while there is much to forget, each a call of its own, so
   * that whoever needs tokens comes in between.
   */
  async expireIdle(nowMs: number): Promise<ExpireResult> {
    const time = this.#timeAt(nowMs)
    const { wallMs } = time
    const endsAt = this.#clock.now() + LONGEST_HOUSEKEEPING_MS
    let expired = 0
    for (let step = 1; ; step++) {
      const [buckets, sessions] = await Promise.all([
        this.#store.call('expireBuckets', { ...time, scan: SCAN }),
        this.#store.call('expireSessions', { wallMs, limit: SCAN }),
      ])
      expired += buckets.expired
      const isWorthIt = Math.max(buckets.expired, sessions) >= WORTH_GOING_ON * SCAN
      if (!isWorthIt || step === MOST_STEPS || this.#clock.now() >= endsAt)
        return { expired, rows: buckets.rows }
    }
  }

  look(keys: readonly string[], nowMs: number): Promise<readonly (BucketFacts | undefined)[]> {
    return this.#store.call('lookAtBuckets', { keys, ...this.#timeAt(nowMs) })
  }

  lookAfter(prefix: string, after: string, lowest: number, nowMs: number): Promise<LookAfterResult> {
    return this.#store.call('lookAfterBucket', { prefix, after, scan: SCAN, lowest, ...this.#timeAt(nowMs) })
  }

  #timeAt(nowMs: number): HostMoment {
    const { identity, offsetMs } = this.#host
    return { host: identity, nowMs: nowMs + offsetMs, wallMs: this.#clock.wallMs() }
  }

  #grantAt(grants: Float64Array, at: number): RowGrant {
    const to = grants[at + GRANT.to]!
    return {
      atMs: grants[at + GRANT.atMs]! - this.#host.offsetMs,
      from: grants[at + GRANT.from]!,
      to,
      isContiguous: grants[at + GRANT.isContiguous] === 1,
      tail: to,
      seq: grants[at + GRANT.seq]!,
      isContended: grants[at + GRANT.isContended] === 1,
    }
  }
}
