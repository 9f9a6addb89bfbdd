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
  /** False: in force in this process only, gone with it. `refresh` writes it as soon as the store answers. */
  readonly isWritten: boolean
}

export interface Lift {
  readonly record: BanRecord
  /** A ban was in force, here or in the store. */
  readonly wasBanned: boolean
}

interface Entry {
  readonly record: Omit<BanRecord, 'revision'>
  /** `Clock.now()` at which a timed ban ends: steps of the wall clock do not shorten it. */
  readonly untilMs: number
  /** Infinity: an order under way. Else its own, or while `isWritten` is false the newest that it comes after. */
  revision: number
  isWritten: boolean
  /** What an order that is not acknowledged yet replaces; it holds again should the order fail or end before. */
  before: Entry | undefined
}

/** Changes of an agent looked through for the one before a lift: others may have come after it. */
const HISTORY_LOOK = 10

/** Bans in memory, in step with the store, where other processes change them too. */
export class BanBook {
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  /** Revisions of bans lifted here, so that an older ban in an answer under way does not come back. */
  readonly #lifted = new Map<string, number>()
  #cursor = 0
  /** The newest revision that any answer told: what is ordered now comes after it. */
  #newest = 0
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

  /**
   * Reads what changed since the last time, at the first time everything; then writes the bans in force that are not
   * in the store, up to the first that fails. Rejects with STORAGE.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  /** The store lost what it held. Bans in force stay in force; the next `refresh` writes those that are missing. */
  rewrite(): void {
    this.#cursor = 0
    this.#newest = 0
    this.#lifted.clear()
    for (const entry of this.#entries.values())
      for (let one: Entry | undefined = entry; one !== undefined; one = one.before) {
        one.revision = 0
        one.isWritten = false
      }
  }

  /**
   * In force at once, durable when resolved. Rejects with STORAGE when it could not be written: then it, or the ban
   * that it was to replace if that lasts longer, holds in this process, and the next `refresh` that reaches the store
   * writes it, unless it was lifted or replaced by then. Throws INVALID_ARGUMENT.
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
    const revision = Number.POSITIVE_INFINITY
    const pending: Entry = { record: change, untilMs, revision, isWritten: false, before }
    this.#entries.set(agent, pending)
    try {
      const record = await this.#store.changeBan(change)
      this.#confirm(pending, record.revision)
      pending.before = undefined
      const known = this.#entries.get(agent)
      if (known !== undefined && known !== pending) this.#apply(record)
      return record
    } catch (error) {
      pending.revision = this.#newest
      if (this.#entries.get(agent) === pending) this.#putBack(agent, pending)
      const cause = WeirError.from(error, 'STORAGE')
      const isInForce = this.#entries.get(agent) === pending
      const [state, next] = isInForce
        ? ['is in force in this process only', '; it is written once the store answers']
        : ['leaves the longer one before it in force', '']
      const message = `ban of "${agent}" ${state}, it was not written: ${cause.message}${next}`
      throw new WeirError('STORAGE', message, { cause })
    }
  }

  /** The order failed: it holds here, unless what it was to replace lasts longer. */
  #putBack(agent: string, failed: Entry): void {
    const longest = longestOf(failed)
    if (longest === failed) failed.before = undefined
    this.#entries.set(agent, longest)
  }

  /** Lifts a ban, or does nothing; either way durable when resolved. Rejects with STORAGE: still banned. */
  async unban(agent: string, reason: string, author: string): Promise<Lift> {
    mustName('agent', agent)
    const atWallMs = this.#clock.wallMs()
    const change = { agent, action: 'unban', reason, author, atWallMs, untilWallMs: undefined } as const
    let record: BanRecord
    try {
      record = await this.#store.changeBan(change)
    } catch (error) {
      const cause = WeirError.from(error, 'STORAGE')
      const what =
        this.find(agent) === undefined ? `unban of "${agent}"` : `ban of "${agent}" stays in force, its lift`
      throw new WeirError('STORAGE', `${what} was not written: ${cause.message}`, { cause })
    }
    const wasBannedHere = this.find(agent) !== undefined
    this.#apply(record)
    return { record, wasBanned: wasBannedHere || (await this.#wasBannedBefore(record)) }
  }

  /** What another process ordered and was not read here yet. */
  async #wasBannedBefore({ agent, revision, atWallMs }: BanRecord): Promise<boolean> {
    try {
      const changes = await this.#store.banHistory(agent, HISTORY_LOOK)
      const before = changes.find((change) => change.revision < revision)
      return before?.action === 'ban' && (before.untilWallMs ?? Number.POSITIVE_INFINITY) > atWallMs
    } catch {
      /* The lift is durable; what it lifted is a remark. */
      return false
    }
  }

  /** Who banned and lifted what, the newest first. */
  history(agent: string | undefined, limit: number): Promise<readonly BanRecord[]> {
    return this.#store.banHistory(agent, limit)
  }

  async #refresh(): Promise<void> {
    const own = this.#cursor === 0 ? new Map(this.#entries) : undefined
    /* Looked up before the bans are read, so that no change falls between the two; lifts so far are history. */
    const [newest] = own === undefined ? [] : await this.#store.banHistory(undefined, 1)
    const records = await this.#store.bansSince(this.#cursor)
    this.#cursor = Math.max(this.#cursor, newest?.revision ?? 0)
    this.#newest = Math.max(this.#newest, this.#cursor)
    for (const record of records) {
      this.#cursor = Math.max(this.#cursor, record.revision)
      this.#apply(record)
      own?.delete(record.agent)
    }
    /* From the start only bans in force are told: one that was durable before and is missing was lifted elsewhere. */
    for (const [agent, entry] of own ?? []) {
      if (entry.isWritten && this.#entries.get(agent) === entry) this.#entries.delete(agent)
    }
    for (const [agent, revision] of this.#lifted) if (revision <= this.#cursor) this.#lifted.delete(agent)
    await this.#writeMissing()
  }

  /** Puts the bans that the store does not know into it, as they were ordered. */
  async #writeMissing(): Promise<void> {
    for (const { agent, isWritten } of this.list()) {
      const entry = this.#entries.get(agent)
      if (isWritten || entry === undefined || !this.#isMissing(agent, entry)) continue
      /* Unknown what it comes after: the store is another one, or was empty. There the order of the clock decides. */
      let newestKnown = entry.revision
      if (newestKnown === 0) {
        const [newest] = await this.#store.banHistory(agent, 1)
        if (!this.#isMissing(agent, entry)) continue
        if (newest?.action === 'unban' && newest.atWallMs >= entry.record.atWallMs) {
          this.#entries.delete(agent)
          continue
        }
        newestKnown = newest?.revision ?? 0
      }
      const { record } = entry
      const written = await this.#store.changeBan(record, newestKnown)
      if (isSameOrder(record, written)) this.#confirm(entry, written.revision)
      else this.#apply(written)
    }
  }

  #isMissing(agent: string, entry: Entry): boolean {
    const isSettled = !entry.isWritten && entry.revision < Number.POSITIVE_INFINITY
    return isSettled && entry.untilMs > this.#clock.now() && this.#entries.get(agent) === entry
  }

  #confirm(entry: Entry, revision: number): void {
    entry.revision = revision
    entry.isWritten = true
    this.#newest = Math.max(this.#newest, revision)
  }

  #apply(record: BanRecord): void {
    this.#newest = Math.max(this.#newest, record.revision)
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
    return { record, untilMs, revision, isWritten: true, before: undefined }
  }

  #describe(entry: Entry, leftMs: number): Ban {
    const { agent, reason, author, atWallMs, untilWallMs } = entry.record
    const remainingMs = leftMs === Number.POSITIVE_INFINITY ? undefined : leftMs
    return { agent, reason, author, atWallMs, untilWallMs, remainingMs, isWritten: entry.isWritten }
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

function isSameOrder(one: Omit<BanRecord, 'revision'>, other: BanRecord): boolean {
  return (
    one.action === other.action &&
    one.atWallMs === other.atWallMs &&
    one.untilWallMs === other.untilWallMs &&
    one.author === other.author &&
    one.reason === other.reason
  )
}

function mustName(field: string, value: string): void {
  if (value.length === 0 || value.length > 512)
    throw new WeirError('INVALID_ARGUMENT', `${field} must have 1 to 512 characters`)
}
