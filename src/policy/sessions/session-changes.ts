/** A session as it is stored. Instants are Unix epoch milliseconds. The connection is not: it dies with us. */
export interface SessionRow {
  readonly key: string
  readonly home: string
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
}

/** What a store has to write: rows to insert or replace, keys to delete. */
export interface SessionChanges {
  readonly saved: readonly SessionRow[]
  readonly removed: readonly string[]
}

/**
 * Sessions changed since a store last asked. A live session is in it at most once; removed keys are bounded,
 * the oldest fall out first. A row that stays stored for that reason runs out by its own last use.
 */
export class ChangeLog<T extends { readonly key: string }> {
  readonly #maxRemoved: number
  readonly #onFirst: (() => void) | undefined
  readonly #changed = new Set<T>()
  readonly #removed = new Set<string>()

  /** `onFirst`: called by the first change after there was none. */
  constructor(maxRemoved: number, onFirst?: () => void) {
    this.#maxRemoved = maxRemoved
    this.#onFirst = onFirst
  }

  get size(): number {
    return this.#changed.size + this.#removed.size
  }

  save(session: T): void {
    const isFirst = this.size === 0
    this.#changed.add(session)
    if (this.#removed.size > 0) this.#removed.delete(session.key)
    if (isFirst) this.#onFirst?.()
  }

  remove(session: T): void {
    this.#changed.delete(session)
    this.removeKey(session.key)
  }

  /** Notes a stored key that is no session. */
  removeKey(key: string): void {
    const isFirst = this.size === 0
    this.#removed.add(key)
    if (isFirst) this.#onFirst?.()
    if (this.#removed.size <= this.#maxRemoved) return
    for (const oldest of this.#removed) {
      this.#removed.delete(oldest)
      return
    }
  }

  /** Takes out up to `limit` changes, removals first. */
  drain(limit: number, toRow: (session: T) => SessionRow): SessionChanges {
    const removed: string[] = []
    for (const key of this.#removed) {
      if (removed.length >= limit) break
      this.#removed.delete(key)
      removed.push(key)
    }
    const saved: SessionRow[] = []
    for (const session of this.#changed) {
      if (removed.length + saved.length >= limit) break
      this.#changed.delete(session)
      saved.push(toRow(session))
    }
    return { saved, removed }
  }
}
