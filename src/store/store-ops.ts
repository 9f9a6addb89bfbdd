import type { Database } from 'better-sqlite3'
import { type BanOps, banOps } from './limits/ban-ops.ts'
import { type BucketOps, bucketOps } from './limits/bucket-ops.ts'
import { type BucketReads, bucketReads } from './limits/bucket-reads.ts'
import { type SessionOps, sessionOps } from './sessions/session-ops.ts'
import type { StoreOp } from './store-op.ts'

/** Everything the store can do, by name. */
export interface StoreOps extends BucketOps, BucketReads, BanOps, SessionOps {
  readonly storeFacts: StoreOp<undefined, StoreFacts>
}

/** How the file is set up and how large it is, for operators. */
export interface StoreFacts {
  readonly schemaVersion: number
  readonly journalMode: string
  readonly fileBytes: number
}

export type OpName = keyof StoreOps
export type OpArgs<Name extends OpName> = Parameters<StoreOps[Name]['run']>[0]
export type OpResult<Name extends OpName> = ReturnType<StoreOps[Name]['run']>

export function storeOps(database: Database): StoreOps {
  const number = (pragma: string): number => database.pragma(pragma, { simple: true }) as number
  return {
    ...bucketOps(database),
    ...bucketReads(database),
    ...banOps(database),
    ...sessionOps(database),
    storeFacts: {
      kind: 'read',
      run: () => ({
        schemaVersion: number('user_version'),
        journalMode: database.pragma('journal_mode', { simple: true }) as string,
        fileBytes: number('page_count') * number('page_size'),
      }),
    },
  }
}
