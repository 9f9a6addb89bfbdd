import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { BanRecord, LimitStore } from './limit-store.ts'

export interface BanOrder {
  readonly agent: string
  readonly reason: string
  /** Who ordered it: an operator, a rule. */
  readonly author: string
  /** Undefined: until it is lifted. */
  readonly durationMs?: number | undefined
}

export interface Ban {
  readonly agent: string
  readonly reason: string
  readonly author: string
  readonly atWallMs: number
  readonly untilWallMs: number | undefined
  /** Milliseconds left; undefined: until it is lifted. */
  readonly remainingMs: number | undefined
}

interface Entry {
  readonly record: Omit<BanRecord, 'revision'>
  /** `Clock.now()` at which a timed ban ends: steps of the wall clock do not shorten it. */
  readonly untilMs: number
  /** Infinity: not acknowledged by the store yet. 0: the store has to be told again. */
  revision: number
  /** What an order that is not acknowledged yet replaces; it holds again should the order fail or end before. */
  before: Entry | undefined
}

/** Bans in memory, in step with the store, where other processes change them too. */
export class BanBook {
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  /** Revisions of bans lifted here, so that an older ban in an answer under way does not come back. */
  readonly #lifted = new Map<string, number>()
  #cursor = 0
  /** The store lost its bans: those in force here are written again. */
  #mustRewrite = false
  #refreshing: Promise<void> | undefined

  constructor(store: LimitStore, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /** Bans in memory, ended ones included until they are looked up. */
  get size(): number {
    return this.#entries.size
  }

  /** The ban in force, if any. */
  find(agent: string): Ban | undefined {
    const entry = this.#entries.get(agent)
    if (entry === undefined) return undefined
    const leftMs = entry.untilMs - this.#clock.now()
    if (leftMs > 0) return this.#describe(entry, leftMs)
    const longest = longestOf(entry)
    if (longest === entry) {
      this.#entries.delete(agent)
      return undefined
    }
    this.#entries.set(agent, longest)
    return this.find(agent)
  }

  list(): readonly Ban[] {
    const bans: Ban[] = []
    for (const agent of [...this.#entries.keys()].sort()) {
      const ban = this.find(agent)
      if (ban !== undefined) bans.push(ban)
    }
    return bans
  }

  /** Reads what changed since the last time, at the first time everything. Rejects with STORAGE. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** The store lost what it held. Bans in force stay in force; the next `refresh` writes those that are missing. */
  rewrite(): void {
    this.#cursor = 0
    this.#lifted.clear()
    this.#mustRewrite = true
    for (const entry of this.#entries.values())
      for (let one: Entry | undefined = entry; one !== undefined; one = one.before) one.revision = 0
  }

  /**
   * In force at once, durable when resolved. Rejects with STORAGE when it could not be written: then it, or the ban
   * that it was to replace if that lasts longer, holds in this process until it ends, and the caller knows that the
   * order is not durable. Throws INVALID_ARGUMENT.
   */
  async ban(order: BanOrder): Promise<BanRecord> {
    const { agent, reason, author, durationMs } = order
    mustName('agent', agent)
    if (durationMs !== undefined && !(durationMs > 0 && Number.isFinite(durationMs)))
      throw new WeirError('INVALID_ARGUMENT', `durationMs ${durationMs} must be above 0, or left out`)
    const atWallMs = this.#clock.wallMs()
    const untilWallMs = durationMs === undefined ? undefined : atWallMs + durationMs
    const change = { agent, action: 'ban', reason, author, atWallMs, untilWallMs } as const
    const untilMs = durationMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() + durationMs
    const before = this.#entries.get(agent)
    const pending: Entry = { record: change, untilMs, revision: Number.POSITIVE_INFINITY, before }
    this.#entries.set(agent, pending)
    try {
      const record = await this.#store.changeBan(change)
      pending.revision = record.revision
      pending.before = undefined
      const known = this.#entries.get(agent)
      if (known !== undefined && known !== pending) this.#apply(record)
      return record
    } catch (error) {
      pending.revision = this.#cursor
      if (this.#entries.get(agent) === pending) this.#putBack(agent, pending)
      const cause = WeirError.from(error, 'STORAGE')
      const isInForce = this.#entries.get(agent) === pending
      const state = isInForce
        ? 'is in force in this process only'
        : 'leaves the longer one before it in force'
      throw new WeirError('STORAGE', `ban of "${agent}" ${state}, it was not written: ${cause.message}`, {
        cause,
      })
    }
  }

  /** The order failed: it holds here, unless what it was to replace lasts longer. */
  #putBack(agent: string, failed: Entry): void {
    const longest = longestOf(failed)
    if (longest === failed) failed.before = undefined
    this.#entries.set(agent, longest)
  }

  /** Lifts a ban, or does nothing; either way durable when resolved. Rejects with STORAGE: still banned. */
  async unban(agent: string, reason: string, author: string): Promise<BanRecord> {
    mustName('agent', agent)
    const record = await this.#store.changeBan({
      agent,
      action: 'unban',
      reason,
      author,
      atWallMs: this.#clock.wallMs(),
      untilWallMs: undefined,
    })
    this.#apply(record)
    return record
  }

  /** Who banned and lifted what, the newest first. */
  history(agent: string | undefined, limit: number): Promise<readonly BanRecord[]> {
    return this.#store.banHistory(agent, limit)
  }

  async #refresh(): Promise<void> {
    const own = this.#cursor === 0 ? new Map(this.#entries) : undefined
    for (const record of await this.#store.bansSince(this.#cursor)) {
      this.#cursor = Math.max(this.#cursor, record.revision)
      this.#apply(record)
      own?.delete(record.agent)
    }
    /* From the start only bans in force are told: one that was durable before and is missing was lifted elsewhere. */
    for (const [agent, entry] of own ?? []) {
      const wasDurable = entry.revision > 0 && entry.revision < Number.POSITIVE_INFINITY
      if (wasDurable && this.#entries.get(agent) === entry) this.#entries.delete(agent)
    }
    for (const [agent, revision] of this.#lifted) if (revision <= this.#cursor) this.#lifted.delete(agent)
    if (this.#mustRewrite) await this.#writeMissing()
  }

  /** Puts the bans that the store does not know any more into it, as they were ordered. */
  async #writeMissing(): Promise<void> {
    for (const { agent } of this.list()) {
      const entry = this.#entries.get(agent)
      if (entry === undefined || entry.revision !== 0) continue
      /* Another process wrote it first, and then it was lifted there. */
      const [newest] = await this.#store.banHistory(agent, 1)
      if (newest?.action === 'unban' && newest.atWallMs >= entry.record.atWallMs) {
        if (this.#entries.get(agent) === entry) this.#entries.delete(agent)
        continue
      }
      const { revision } = await this.#store.changeBan({ ...entry.record, agent })
      if (this.#entries.get(agent) === entry) entry.revision = revision
    }
    this.#mustRewrite = false
  }

  #apply(record: BanRecord): void {
    const known = this.#entries.get(record.agent)
    if (known !== undefined && known.revision >= record.revision) {
      replaceBelow(known, record.revision, this.#entryOf(record))
      return
    }
    if ((this.#lifted.get(record.agent) ?? 0) >= record.revision) return
    const entry = this.#entryOf(record)
    if (entry !== undefined) {
      this.#entries.set(record.agent, entry)
      return
    }
    this.#entries.delete(record.agent)
    this.#lifted.set(record.agent, record.revision)
  }

  /** Undefined: a lift. */
  #entryOf(record: BanRecord): Entry | undefined {
    if (record.action === 'unban') return undefined
    const { untilWallMs, revision } = record
    const untilMs =
      untilWallMs === undefined
        ? Number.POSITIVE_INFINITY
        : this.#clock.now() + untilWallMs - this.#clock.wallMs()
    return { record, untilMs, revision, before: undefined }
  }

  #describe(entry: Entry, leftMs: number): Ban {
    const { agent, reason, author, atWallMs, untilWallMs } = entry.record
    const remainingMs = leftMs === Number.POSITIVE_INFINITY ? undefined : leftMs
    return { agent, reason, author, atWallMs, untilWallMs, remainingMs }
  }
}

/** Of an order that is not written and all that it was to replace. */
function longestOf(entry: Entry): Entry {
  let longest = entry
  for (let one = entry.before; one !== undefined; one = one.before)
    if (one.untilMs > longest.untilMs) longest = one
  return longest
}

/** A change that is older than the orders under way replaces what these would leave, should they fail. */
function replaceBelow(known: Entry, revision: number, next: Entry | undefined): void {
  let lowest = known
  while (lowest.before?.revision === Number.POSITIVE_INFINITY) lowest = lowest.before
  if (lowest.revision === Number.POSITIVE_INFINITY && (lowest.before?.revision ?? 0) < revision)
    lowest.before = next
}

function mustName(field: string, value: string): void {
  if (value.length === 0 || value.length > 512)
    throw new WeirError('INVALID_ARGUMENT', `${field} must have 1 to 512 characters`)
}
