import type { Database } from 'better-sqlite3'
import type { StoreOp } from '../store-op.ts'
import { HostEpochs, type HostMoment } from './host-moment.ts'
import { type BucketFacts, bucketFacts, mergeLowest } from './lease-row.ts'
import { COLUMNS, type StoredRow, toRow } from './stored-row.ts'

export interface LookArgs extends HostMoment {
  readonly keys: readonly string[]
}

export interface LookAfterArgs extends HostMoment {
  readonly prefix: string
  /** The last key of the step before; empty: from the start. */
  readonly after: string
  /** Rows looked at at most. */
  readonly scan: number
  /** Rows told at most. */
  readonly lowest: number
}

export interface LookAfterResult {
  readonly lowest: readonly BucketFacts[]
  /** To be given as `after` of the next step; undefined: that was all. */
  readonly next: string | undefined
}

export interface BucketReads {
  readonly lookAtBuckets: StoreOp<LookArgs, readonly (BucketFacts | undefined)[]>
  readonly lookAfterBucket: StoreOp<LookAfterArgs, LookAfterResult>
}

/** How buckets stand, for operators. Reads only, in short steps: checks that need tokens come in between. */
export function bucketReads(database: Database): BucketReads {
  const epochs = new HostEpochs(database)
  const readOne = database.prepare<[string], StoredRow>(`SELECT ${COLUMNS} FROM limit_bucket WHERE key = ?`)
  const readAfter = database.prepare<[string, string, number], StoredRow>(
    `SELECT ${COLUMNS} FROM limit_bucket WHERE key > ? AND key < ? ORDER BY key LIMIT ?`,
  )

  return {
    lookAtBuckets: {
      kind: 'read',
      run({ keys, ...moment }) {
        const time = epochs.read(moment)
        return keys.map((key) => {
          const row = readOne.get(key)
          return row && bucketFacts(key, toRow(row), time)
        })
      },
    },

    lookAfterBucket: {
      kind: 'read',
      run({ prefix, after, scan, lowest, ...moment }) {
        const time = epochs.read(moment)
        const rows = readAfter.all(after === '' ? prefix : after, prefix + LAST, scan)
        /* The bucket whose part is empty has the prefix itself for a key. */
        const own = after === '' ? readOne.get(prefix) : undefined
        if (own !== undefined) rows.unshift(own)
        const facts = rows.map((row) => bucketFacts(row.key, toRow(row), time))
        return {
          lowest: mergeLowest([], facts, lowest),
          next: rows.length < scan ? undefined : rows.at(-1)!.key,
        }
      },
    },
  }
}

/** Sorts after every character of a key. */
const LAST = '\u{10ffff}'
