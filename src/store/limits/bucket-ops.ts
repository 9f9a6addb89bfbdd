import type { Database } from 'better-sqlite3'
import type { StoreOp } from '../store-op.ts'
import { HostEpochs, type HostMoment } from './host-moment.ts'
import { ASK, ASK_FIELDS, GRANT, GRANT_FIELDS } from './lease-frames.ts'
import { type HostTime, isFull, settleRow } from './lease-row.ts'
import { COLUMNS, type StoredRow, toRow } from './stored-row.ts'

/** Each ask has its own instant. */
export interface SettleArgs extends Omit<HostMoment, 'nowMs'> {
  readonly keys: readonly string[]
  /** `ASK_FIELDS` numbers per key, see `lease-frames.ts`. */
  readonly asks: Float64Array
}

export interface ExpireArgs extends HostMoment {
  /** Rows looked at at most. */
  readonly scan: number
}

export interface ExpireResult {
  readonly expired: number
  /** Rows left in the last complete pass, or in the one under way when that found more already: at least so many. */
  readonly rows: number
}

export interface BucketOps {
  readonly settleLeases: StoreOp<SettleArgs, Float64Array>
  readonly expireBuckets: StoreOp<ExpireArgs, ExpireResult>
}

export function bucketOps(database: Database): BucketOps {
  const read = database.prepare<[string], StoredRow>(`SELECT ${COLUMNS} FROM limit_bucket WHERE key = ?`)
  const write = database.prepare(
    `INSERT OR REPLACE INTO limit_bucket (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const readAfter = database.prepare<[string, number], StoredRow>(
    `SELECT ${COLUMNS} FROM limit_bucket WHERE key > ? ORDER BY key LIMIT ?`,
  )
  const remove = database.prepare('DELETE FROM limit_bucket WHERE key = ?')
  const epochs = new HostEpochs(database)
  let sweptTo = ''
  let sweptRows = 0
  let rows = 0

  return {
    settleLeases: {
      kind: 'write',
      run({ host, wallMs, keys, asks }) {
        const epoch = epochs.number(host)
        const grants = new Float64Array(keys.length * GRANT_FIELDS)
        for (let index = 0; index < keys.length; index++) {
          const key = keys[index]!
          const at = index * ASK_FIELDS
          const stored = read.get(key)
          const { row, grant } = settleRow(
            stored === undefined ? undefined : toRow(stored),
            {
              rate: asks[at + ASK.rate]!,
              burst: asks[at + ASK.burst]!,
              seq: asks[at + ASK.seq]!,
              give: asks[at + ASK.give]!,
              owed: asks[at + ASK.owed]!,
              want: asks[at + ASK.want]!,
              least: asks[at + ASK.least]!,
              ahead: asks[at + ASK.ahead]!,
            },
            { epoch, nowMs: asks[at + ASK.atMs]!, wallMs },
          )
          const wantedMs = row.wantedMs === Number.NEGATIVE_INFINITY ? null : row.wantedMs
          const { debt, aside, rate, burst, atMs, wallMs: atWallMs, seq } = row
          write.run(key, debt, rate, burst, atMs, row.epoch, atWallMs, seq, wantedMs, aside)
          const to = index * GRANT_FIELDS
          grants[to + GRANT.atMs] = grant.atMs
          grants[to + GRANT.from] = grant.from
          grants[to + GRANT.to] = grant.to
          grants[to + GRANT.seq] = grant.seq
          grants[to + GRANT.isContiguous] = Number(grant.isContiguous)
          grants[to + GRANT.isContended] = Number(grant.isContended)
        }
        return grants
      },
    },

    expireBuckets: {
      kind: 'write',
      run({ host, nowMs, wallMs, scan }) {
        const time: HostTime = { epoch: epochs.number(host), nowMs, wallMs }
        let expired = 0
        const seen = readAfter.all(sweptTo, scan)
        for (const stored of seen) {
          if (isFull(toRow(stored), time)) {
            remove.run(stored.key)
            expired++
          } else {
            sweptRows++
          }
        }
        if (seen.length < scan) {
          rows = sweptRows
          sweptRows = 0
          sweptTo = ''
        } else {
          sweptTo = seen.at(-1)!.key
        }
        return { expired, rows: Math.max(rows, sweptRows) }
      },
    },
  }
}
