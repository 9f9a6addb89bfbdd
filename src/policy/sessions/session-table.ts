import type { RecencyNode } from './recency-list.ts'
import { RecencyList } from './recency-list.ts'
import type { SessionChanges, SessionRow } from './session-changes.ts'
import { ChangeLog } from './session-changes.ts'

export interface SessionTableOptions {
  /** Milliseconds without use after which a session ends; Infinity: never. Default 300,000. */
  readonly idleTtlMs?: number
  /** Sessions kept; the least recently used one gives way. Default 100,000. */
  readonly maxSessions?: number
  /** Whether changes are noted for `drainDirty`. Default false: without a store nobody would collect them. */
  readonly isStored?: boolean
  /** Called when changes wait for `drainDirty` and none did before. */
  readonly onDirty?: () => void
}

/** A sticky session. Instants are the clock's `now`. */
export interface Session {
  readonly key: string
  /** Where its state lives: the endpoint or the agent instance. Survives connections and restarts. */
  readonly home: string
  /** The connection it is pinned to; 0: none yet, as after a restart. May have died: look it up. */
  readonly connectionId: number
  readonly createdAt: number
  readonly lastUsedAt: number
}

export const DEFAULT_SESSION_IDLE_TTL_MS = 300_000
export const DEFAULT_MAX_SESSIONS = 100_000

/** Keys come from clients. Longer ones are not stored, so the table's size in bytes is bounded too. */
export const MAX_SESSION_KEY_LENGTH = 512
/**
 * A use is written behind only when the stored instant is older than this part of the idle TTL: one write per
 * 30 s and session instead of one per event, for a session that may end 10 % early after a crash.
 */
const STORED_USE_SLACK = 0.1
/** The same for sessions that never end, milliseconds. */
const STORED_USE_SLACK_NEVER_MS = 60_000

interface Entry extends Session, RecencyNode<Entry> {
  home: string
  connectionId: number
  createdAt: number
  lastUsedAt: number
  /** The last use that was noted for the store. */
  notedAt: number
}

/**
 * Sticky sessions of one agent: which connection a caller-named key goes to. One table per agent, so that one
 * agent's session can never lead to another's connection. Holds ids, never connections.
 */
export class SessionTable {
  readonly #idleTtlMs: number
  readonly #maxSessions: number
  readonly #slackMs: number
  readonly #entries = new Map<string, Entry>()
  readonly #recency = new RecencyList<Entry>()
  readonly #changes: ChangeLog<Entry> | undefined

  constructor(options: SessionTableOptions = {}) {
    this.#idleTtlMs = options.idleTtlMs ?? DEFAULT_SESSION_IDLE_TTL_MS
    this.#maxSessions = Math.max(1, options.maxSessions ?? DEFAULT_MAX_SESSIONS)
    this.#slackMs =
      this.#idleTtlMs === Number.POSITIVE_INFINITY
        ? STORED_USE_SLACK_NEVER_MS
        : this.#idleTtlMs * STORED_USE_SLACK
    this.#changes =
      options.isStored === true ? new ChangeLog<Entry>(this.#maxSessions, options.onDirty) : undefined
  }

  /** Sessions held, those that ended but were not swept yet included. */
  get size(): number {
    return this.#entries.size
  }

  /** Changes waiting for `drainDirty`. */
  get dirty(): number {
    return this.#changes?.size ?? 0
  }

  /** Sessions that have not ended. Sweeps. */
  count(now: number): number {
    this.expire(now)
    return this.#entries.size
  }

  /** Starts a session, or starts it over. Undefined when the key is longer than the table stores. */
  create(key: string, home: string, connectionId: number, now: number): Session | undefined {
    if (key.length > MAX_SESSION_KEY_LENGTH) return undefined
    const known = this.#entries.get(key)
    if (known !== undefined) {
      known.home = home
      known.connectionId = connectionId
      known.createdAt = now
      this.#touch(known, now)
      this.#note(known)
      return known
    }
    const entry = this.#insert(key, home, connectionId, now, now)
    this.#note(entry)
    return entry
  }

  /** The session, and counts as a use. Undefined when there is none or it ended. */
  use(key: string, now: number): Session | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    if (this.#hasEnded(entry, now)) {
      this.#drop(entry)
      return undefined
    }
    this.#touch(entry, now)
    if (now - entry.notedAt >= this.#slackMs) this.#note(entry)
    return entry
  }

  /** Prolongs a session without looking at it; false when there is none. */
  refresh(key: string, now: number): boolean {
    return this.use(key, now) !== undefined
  }

  /** The session as it stands. Changes nothing, prolongs nothing. */
  peek(key: string, now: number): Session | undefined {
    const entry = this.#entries.get(key)
    return entry === undefined || this.#hasEnded(entry, now) ? undefined : entry
  }

  /** Pins a session to another connection, see `rebindChoice`; false when there is none. Counts as a use. */
  rebind(key: string, home: string, connectionId: number, now: number): boolean {
    if (this.use(key, now) === undefined) return false
    const entry = this.#entries.get(key)!
    entry.connectionId = connectionId
    if (entry.home !== home) {
      entry.home = home
      this.#note(entry)
    }
    return true
  }

  /** Ends a session; false when there was none. */
  clear(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#drop(entry)
    return true
  }

  /** Ends every session. */
  clearAll(): void {
    for (let entry = this.#recency.oldest; entry !== null; entry = this.#recency.oldest) this.#drop(entry)
  }

  /**
   * Sweeps sessions that ended, oldest first, `limit` at most; returns how many. Order of use is order of ending,
   * so it touches what it removes and one more: O(1) amortised per session.
   */
  expire(now: number, limit: number = Number.POSITIVE_INFINITY): number {
    let swept = 0
    for (let entry = this.#recency.oldest; entry !== null && swept < limit; entry = this.#recency.oldest) {
      if (!this.#hasEnded(entry, now)) break
      this.#drop(entry)
      swept++
    }
    return swept
  }

  /** The most recently used sessions but the first `offset`, for people. Copies; prolongs nothing. */
  list(now: number, limit = 100, offset = 0): Session[] {
    const sessions: Session[] = []
    let passed = 0
    for (let entry = this.#recency.newest; entry !== null && sessions.length < limit; entry = entry.older) {
      if (this.#hasEnded(entry, now)) break
      if (passed++ < offset) continue
      const { key, home, connectionId, createdAt, lastUsedAt } = entry
      sessions.push({ key, home, connectionId, createdAt, lastUsedAt })
    }
    return sessions
  }

  /** Hands over up to `limit` changes for the store. Both readings are of the same clock at the same moment. */
  drainDirty(now: number, wallMs: number, limit: number = Number.POSITIVE_INFINITY): SessionChanges {
    if (this.#changes === undefined) return { saved: [], removed: [] }
    const toWall = wallMs - now
    return this.#changes.drain(limit, (entry) => ({
      key: entry.key,
      home: entry.home,
      createdAtMs: Math.round(entry.createdAt + toWall),
      lastUsedAtMs: Math.round(entry.lastUsedAt + toWall),
    }))
  }

  /** Takes changes back that the store could not write; what changed since then is newer and wins. */
  restoreDirty(changes: SessionChanges): void {
    for (const row of changes.saved) {
      const entry = this.#entries.get(row.key)
      if (entry === undefined) this.#changes?.removeKey(row.key)
      else this.#changes?.save(entry)
    }
    for (const key of changes.removed) if (!this.#entries.has(key)) this.#changes?.removeKey(key)
  }

  /**
   * Fills an empty table from the store; returns how many sessions still run. Those that ended meanwhile, or
   * exceed the bound, are noted for removal. Last uses in the future (the wall clock was set back) count as now.
   */
  restore(rows: readonly SessionRow[], now: number, wallMs: number): number {
    const byUse = rows.toSorted((one, other) => one.lastUsedAtMs - other.lastUsedAtMs)
    for (const row of byUse) {
      const idleMs = Math.max(0, wallMs - row.lastUsedAtMs)
      if (idleMs >= this.#idleTtlMs || row.key.length > MAX_SESSION_KEY_LENGTH) {
        this.#changes?.removeKey(row.key)
      } else if (!this.#entries.has(row.key)) {
        this.#insert(row.key, row.home, 0, now - Math.max(0, wallMs - row.createdAtMs), now - idleMs)
      }
    }
    return this.#entries.size
  }

  #hasEnded(entry: Entry, now: number): boolean {
    return now - entry.lastUsedAt >= this.#idleTtlMs
  }

  #touch(entry: Entry, now: number): void {
    entry.lastUsedAt = now
    this.#recency.touch(entry)
  }

  #note(entry: Entry): void {
    if (this.#changes === undefined) return
    entry.notedAt = entry.lastUsedAt
    this.#changes.save(entry)
  }

  #insert(key: string, home: string, connectionId: number, createdAt: number, lastUsedAt: number): Entry {
    if (this.#entries.size >= this.#maxSessions) this.#drop(this.#recency.oldest!)
    const entry: Entry = {
      key,
      home,
      connectionId,
      createdAt,
      lastUsedAt,
      notedAt: lastUsedAt,
      older: null,
      newer: null,
    }
    this.#entries.set(key, entry)
    this.#recency.add(entry)
    return entry
  }

  #drop(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#recency.remove(entry)
    this.#changes?.remove(entry)
  }
}
