/** An entry of a {@link RecencyList}; the links belong to the list. Start with nulls. */
export interface RecencyNode<T> {
  older: T | null
  newer: T | null
}

/** Entries from the most to the least recently used. Intrusive: every operation is O(1) and allocates nothing. */
export class RecencyList<T extends RecencyNode<T>> {
  #newest: T | null = null
  #oldest: T | null = null

  get newest(): T | null {
    return this.#newest
  }

  get oldest(): T | null {
    return this.#oldest
  }

  /** Adds an entry that is not in the list, as the newest. */
  add(entry: T): void {
    entry.older = this.#newest
    entry.newer = null
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
  }

  /** Takes an entry of this list out. */
  remove(entry: T): void {
    if (entry.newer === null) this.#newest = entry.older
    else entry.newer.older = entry.older
    if (entry.older === null) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    entry.older = null
    entry.newer = null
  }

  /** Makes an entry of this list the newest. */
  touch(entry: T): void {
    if (entry === this.#newest) return
    this.remove(entry)
    this.add(entry)
  }
}
