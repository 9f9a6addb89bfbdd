/** A sticky session as it is stored. Instants are Unix epoch milliseconds. */
export interface StoredSession {
  readonly key: string
  /** Endpoint or agent instance that has the session's state. */
  readonly home: string
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
}

/** Where sessions outlive the process. The pool writes behind; losing the last second is allowed. */
export interface SessionStore {
  /** Every stored session of the agent, in any order. */
  load(agent: string): Promise<readonly StoredSession[]>
  /** Inserts or replaces rows and deletes keys in one transaction. Resolves when it is durable. */
  saveBatch(
    agent: string,
    batch: { readonly saved: readonly StoredSession[]; readonly removed: readonly string[] },
  ): Promise<void>
}
