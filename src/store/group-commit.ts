import type { Database } from 'better-sqlite3'
import { WeirError } from '../core/errors.ts'
import { isDamage, storageError } from './storage-error.ts'
import type { StoreOp } from './store-op.ts'
import type { OpName, StoreOps } from './store-ops.ts'
import type { StoreReply, StoreRequest } from './store-protocol.ts'

export interface CommitOutcome {
  /** In the order of the requests. */
  readonly replies: readonly StoreReply[]
  /** At least one request was durable. */
  readonly isDurable: boolean
  /** Why the connection must not be used again: the file is damaged, or a transaction could not be rolled back. */
  readonly broken: 'damaged' | 'not rolled back' | undefined
}

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

  /** Never throws, whatever the file, an operation or the rollback does. */
  run(requests: readonly StoreRequest[]): CommitOutcome {
    const database = this.#database
    let isDurable = false
    try {
      let isRead = true
      for (const { op } of requests) {
        const { kind } = this.#opNamed(op)
        if (kind !== 'read') isRead = false
        if (kind === 'durable') isDurable = true
      }
      this.#syncFully(isDurable)
      database.exec(isRead ? 'BEGIN' : 'BEGIN IMMEDIATE')
      const replies = requests.map((request) => this.#runOne(request))
      database.exec('COMMIT')
      return { replies, isDurable, broken: undefined }
    } catch (thrown) {
      const error = storageError(this.#path, thrown)
      const isRolledBack = this.#rollBack()
      const broken = isDamage(thrown) ? 'damaged' : isRolledBack ? undefined : 'not rolled back'
      return { replies: requests.map(({ id }) => ({ id, error })), isDurable, broken }
    }
  }

  /** False: the transaction is still open, or nobody can tell. */
  #rollBack(): boolean {
    try {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK')
      return !this.#database.inTransaction
    } catch {
      return false
    }
  }

  #runOne({ id, op, args }: StoreRequest): StoreReply {
    const named = this.#opNamed(op)
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

  #opNamed(name: OpName): StoreOp<unknown, unknown> {
    const op = this.#ops[name] as StoreOp<unknown, unknown> | undefined
    if (op === undefined) throw new WeirError('INTERNAL', `the store has no operation ${String(name)}`)
    return op
  }

  /** FULL fsyncs each commit; NORMAL leaves that to the next checkpoint and survives the end of the process only. */
  #syncFully(isFull: boolean): void {
    if (isFull === this.#isFull) return
    this.#database.pragma(`synchronous = ${isFull ? 'FULL' : 'NORMAL'}`)
    this.#isFull = isFull
  }
}
