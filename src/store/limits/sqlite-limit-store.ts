import type { Clock } from '../../core/clock.ts'
import { type HostClock, hostClock } from '../host-clock.ts'
import type { Store } from '../store.ts'
import type { BanChangeRow, BanRow } from './ban-ops.ts'
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

/** Buckets and bans in the file, shared with every other process that has it open. */
export class SqliteLimitStore {
  readonly isImmediate = false
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

  changeBan(change: BanChangeRow): Promise<BanRow> {
    return this.#store.call('changeBan', change)
  }

  bansSince(revision: number): Promise<readonly BanRow[]> {
    return this.#store.call('bansSince', revision)
  }

  banHistory(agent: string | undefined, limit: number): Promise<readonly BanRow[]> {
    return this.#store.call('banHistory', { agent, limit })
  }

  /** Expired sessions leave with the buckets: one step of housekeeping for the whole file. */
  async expireIdle(nowMs: number): Promise<{ readonly expired: number; readonly rows: number | undefined }> {
    const time = this.#timeAt(nowMs)
    const { wallMs } = time
    const [facts] = await Promise.all([
      this.#store.call('expireBuckets', { ...time, scan: SCAN }),
      this.#store.call('expireSessions', { wallMs, limit: SCAN }),
    ])
    return facts
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
