import { isFull, type LeaseRow, type RowAsk, type RowGrant, settleRow } from './lease-row.ts'

export interface MemoryBanChange {
  readonly agent: string
  readonly action: 'ban' | 'unban'
  readonly reason: string
  readonly author: string
  readonly atWallMs: number
  readonly untilWallMs: number | undefined
}

interface MemoryBanRecord extends MemoryBanChange {
  readonly revision: number
}

/** Changes of bans kept for `banHistory`; the bans in force are kept whatever their number. */
const HISTORY = 1000
/** Rows looked at per call, those written longest ago first: a fraction of a millisecond. */
const EXPIRY_SCAN = 10_000

/**
 * Stands behind the limiter when no storage path is configured: the same arithmetic, nothing survives the
 * process. Bounded: beyond `maxRows` the bucket written longest ago is forgotten, as if it were full again.
 */
export class MemoryLimitStore {
  readonly isImmediate = true
  readonly #maxRows: number
  readonly #rows = new Map<string, LeaseRow>()
  #sweep = this.#rows.keys()
  readonly #bans = new Map<string, MemoryBanRecord>()
  #history: MemoryBanRecord[] = []
  #revision = 0

  constructor(maxRows = 1_000_000) {
    this.#maxRows = maxRows
  }

  settle(asks: readonly (RowAsk & { readonly key: string; readonly atMs: number })[]): RowGrant[] {
    return asks.map((ask) => {
      const time = { epoch: 0, nowMs: ask.atMs, wallMs: 0 }
      const { row, grant } = settleRow(this.#rows.get(ask.key), ask, time)
      this.#rows.delete(ask.key)
      this.#rows.set(ask.key, row)
      if (this.#rows.size > this.#maxRows) this.#forgetOne()
      return grant
    })
  }

  /* One iterator goes round: a new one would walk over every hole that deleted rows left at the front. */
  #forgetOne(): void {
    let next = this.#sweep.next()
    if (next.done === true) {
      this.#sweep = this.#rows.keys()
      next = this.#sweep.next()
    }
    if (next.done !== true) this.#rows.delete(next.value)
  }

  changeBan(change: MemoryBanChange): Promise<MemoryBanRecord> {
    const record = { ...change, revision: ++this.#revision }
    if (change.action === 'ban') this.#bans.set(change.agent, record)
    else this.#bans.delete(change.agent)
    this.#history.push(record)
    if (this.#history.length > HISTORY) this.#history = this.#history.slice(-HISTORY / 2)
    return Promise.resolve(record)
  }

  bansSince(revision: number): Promise<readonly MemoryBanRecord[]> {
    if (revision === 0) return Promise.resolve([...this.#bans.values()])
    return Promise.resolve(this.#history.filter((record) => record.revision > revision))
  }

  banHistory(agent: string | undefined, limit: number): Promise<readonly MemoryBanRecord[]> {
    const mine = this.#history.filter((record) => agent === undefined || record.agent === agent)
    return Promise.resolve(mine.reverse().slice(0, limit))
  }

  expireIdle(nowMs: number): Promise<{ readonly expired: number; readonly rows: number }> {
    const time = { epoch: 0, nowMs, wallMs: 0 }
    let expired = 0
    let seen = 0
    for (const [key, row] of this.#rows) {
      if (seen++ === EXPIRY_SCAN) break
      if (!isFull(row, time)) continue
      this.#rows.delete(key)
      expired++
    }
    return Promise.resolve({ expired, rows: this.#rows.size })
  }
}
