import type { BanChangeRow, BanRow } from '../../src/store/limits/ban-ops.ts'
import {
  type BucketFacts,
  bucketFacts,
  isFull,
  type LeaseRow,
  mergeLowest,
  type RowAsk,
  type RowGrant,
  settleRow,
} from '../../src/store/limits/lease-row.ts'

/** Changes of bans kept for `banHistory`; the bans in force are kept whatever their number. */
const HISTORY = 1000
/** Rows looked at per call of `expireIdle`, going round: about a millisecond. */
const EXPIRY_SCAN = 10_000

/** The arithmetic of the file, without one: a second engine that keeps the contract of a limit store. */
export class MemoryLimitStore {
  readonly #rows = new Map<string, LeaseRow>()
  #round = this.#rows.keys()
  readonly #bans = new Map<string, BanRow>()
  #history: BanRow[] = []
  #revision = 0

  /** It never is: it lives and dies with the process. */
  whenReplaced(): void {}

  settle(
    asks: readonly (RowAsk & { readonly key: string; readonly atMs: number })[],
  ): Promise<readonly RowGrant[]> {
    const grants = asks.map((ask) => {
      const time = { epoch: 0, nowMs: ask.atMs, wallMs: 0 }
      const { row, grant } = settleRow(this.#rows.get(ask.key), ask, time)
      this.#rows.set(ask.key, row)
      return grant
    })
    return Promise.resolve(grants)
  }

  changeBan(change: BanChangeRow, newestKnown = Number.POSITIVE_INFINITY): Promise<BanRow> {
    const newest = this.#history.findLast(({ agent }) => agent === change.agent)
    if (newest !== undefined && newest.revision > newestKnown) return Promise.resolve(newest)
    const record = { ...change, revision: ++this.#revision }
    if (change.action === 'ban') this.#bans.set(change.agent, record)
    else this.#bans.delete(change.agent)
    this.#history.push(record)
    if (this.#history.length > HISTORY) this.#history = this.#history.slice(-HISTORY / 2)
    return Promise.resolve(record)
  }

  bansSince(revision: number): Promise<readonly BanRow[]> {
    if (revision === 0) return Promise.resolve([...this.#bans.values()])
    return Promise.resolve(this.#history.filter((record) => record.revision > revision))
  }

  banHistory(agent: string | undefined, limit: number): Promise<readonly BanRow[]> {
    const mine = this.#history.filter((record) => agent === undefined || record.agent === agent)
    return Promise.resolve(mine.reverse().slice(0, limit))
  }

  expireIdle(nowMs: number): Promise<{ readonly expired: number; readonly rows: number }> {
    const time = { epoch: 0, nowMs, wallMs: 0 }
    let expired = 0
    for (let seen = Math.min(EXPIRY_SCAN, this.#rows.size); seen > 0; seen--) {
      const key = this.#nextKey()
      if (key === undefined || !isFull(this.#rows.get(key)!, time)) continue
      this.#rows.delete(key)
      expired++
    }
    return Promise.resolve({ expired, rows: this.#rows.size })
  }

  look(keys: readonly string[], nowMs: number): Promise<readonly (BucketFacts | undefined)[]> {
    const time = { epoch: 0, nowMs, wallMs: 0 }
    return Promise.resolve(
      keys.map((key) => {
        const row = this.#rows.get(key)
        return row && bucketFacts(key, row, time)
      }),
    )
  }

  /** In one step: there is no thread that others wait for. */
  lookAfter(
    prefix: string,
    _after: string,
    lowest: number,
    nowMs: number,
  ): Promise<{ readonly lowest: readonly BucketFacts[]; readonly next: undefined }> {
    const time = { epoch: 0, nowMs, wallMs: 0 }
    const facts: BucketFacts[] = []
    for (const [key, row] of this.#rows) if (key.startsWith(prefix)) facts.push(bucketFacts(key, row, time))
    return Promise.resolve({ lowest: mergeLowest([], facts, lowest), next: undefined })
  }

  /* One iterator goes round: a new one would walk over every hole that deleted rows left at the front. */
  #nextKey(): string | undefined {
    const next = this.#round.next()
    if (next.done !== true) return next.value
    this.#round = this.#rows.keys()
    return this.#round.next().value
  }
}
