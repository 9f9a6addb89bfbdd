import type { Database } from 'better-sqlite3'
import { WeirError } from '../core/errors.ts'
import { storageError } from './storage-error.ts'
import type { StoreOp } from './store-op.ts'
import type { StoreOps } from './store-ops.ts'
import type { StoreReply, StoreRequest } from './store-protocol.ts'

/**
 * Runs requests that came in together as one transaction: one commit, and one fsync if any of them is durable. A
 * request that is refused undoes its own part only; a failing file fails them all, and nothing of them is written.
 */
export class GroupCommit {
  readonly #database: Database
  readonly #path: string
  readonly #ops: StoreOps
  #isFull = false

  constructor(database: Database, path: string, ops: StoreOps) {
    this.#database = database
    this.#path = path
    this.#ops = ops
  }

  /** Replies in the order of the requests. Never throws. */
  run(requests: readonly StoreRequest[]): readonly StoreReply[] {
    const database = this.#database
    let kind: 'read' | 'write' | 'durable' = 'read'
    for (const { op } of requests) {
      const own = this.#ops[op].kind
      if (own === 'durable' || (own === 'write' && kind === 'read')) kind = own
    }
    try {
      this.#syncFully(kind === 'durable')
      database.exec(kind === 'read' ? 'BEGIN' : 'BEGIN IMMEDIATE')
      const replies = requests.map((request) => this.#runOne(request))
      database.exec('COMMIT')
      return replies
    } catch (thrown) {
      if (database.inTransaction) database.exec('ROLLBACK')
      const error = storageError(this.#path, thrown)
      return requests.map(({ id }) => ({ id, error }))
    }
  }

  #runOne({ id, op, args }: StoreRequest): StoreReply {
    const named = this.#ops[op] as StoreOp<unknown, unknown>
    if (named.kind === 'read') return { id, value: named.run(args) }
    this.#database.exec('SAVEPOINT request')
    try {
      const value = named.run(args)
      this.#database.exec('RELEASE request')
      return { id, value }
    } catch (thrown) {
      /* Only a refusal concerns this request alone. */
      if (!(thrown instanceof WeirError)) throw thrown
      this.#database.exec('ROLLBACK TO request; RELEASE request')
      return { id, error: storageError(this.#path, thrown) }
    }
  }

  /** FULL fsyncs each commit; NORMAL leaves that to the next checkpoint and survives the end of the process only. */
  #syncFully(isFull: boolean): void {
    if (isFull === this.#isFull) return
    this.#database.pragma(`synchronous = ${isFull ? 'FULL' : 'NORMAL'}`)
    this.#isFull = isFull
  }
}
