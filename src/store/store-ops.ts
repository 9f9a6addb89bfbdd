import type { Database } from 'better-sqlite3'
import { type BanOps, banOps } from './limits/ban-ops.ts'
import { type BucketOps, bucketOps } from './limits/bucket-ops.ts'
import { type BucketReads, bucketReads } from './limits/bucket-reads.ts'
import { type SessionOps, sessionOps } from './sessions/session-ops.ts'

/** Everything the store can do, by name. */
export interface StoreOps extends BucketOps, BucketReads, BanOps, SessionOps {}

export type OpName = keyof StoreOps
export type OpArgs<Name extends OpName> = Parameters<StoreOps[Name]['run']>[0]
export type OpResult<Name extends OpName> = ReturnType<StoreOps[Name]['run']>

export function storeOps(database: Database): StoreOps {
  return {
    ...bucketOps(database),
    ...bucketReads(database),
    ...banOps(database),
    ...sessionOps(database),
  }
}
