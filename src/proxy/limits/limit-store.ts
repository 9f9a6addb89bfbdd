/**
 * What the limiter asks of whatever stands behind it: tokens, and the list of bans. Small and asynchronous, so
 * that a networked engine can stand here; `test/store/limit-store-conformance.ts` says what one must keep.
 */
export interface LimitStore {
  /**
   * `listener` is called in the turn in which it turns out that what was stored is gone (a file deleted or replaced, an
   * engine that lost its data), before anything is asked of what took its place. One listener; the last one counts.
   */
  whenReplaced(listener: () => void): void
  /**
   * Hands out, takes back and books tokens, each ask atomic, in order. Rejects with STORAGE and then has
   * changed nothing, or everything; both are safe, because an unknown grant is never spent.
   */
  settle(asks: readonly LeaseAsk[]): Promise<readonly LeaseGrant[]>
  /**
   * Durable when resolved. A ban replaces the ban before it; lifting an unknown ban succeeds. With `newestKnown`, a
   * revision: if the agent has a newer change than that, nothing is written and that newer change is the answer.
   */
  changeBan(change: BanChange, newestKnown?: number): Promise<BanRecord>
  /** Changes after `revision` in order, by whatever process. 0: from the start, current bans only. */
  bansSince(revision: number): Promise<readonly BanRecord[]>
  /** The newest changes first. */
  banHistory(agent: string | undefined, limit: number): Promise<readonly BanRecord[]>
  /** Forgets some buckets that are full again (they equal unknown ones). A short step, called each second. */
  expireIdle(nowMs: number): Promise<TableFacts>
  /**
   * How buckets stand, in the order of the keys; undefined: unknown, so full. A look changes nothing. What holders
   * have and did not spend yet counts as gone.
   */
  look(keys: readonly string[], nowMs: number): Promise<readonly (BucketFacts | undefined)[]>
  /**
   * One short step through the buckets whose key begins with `prefix`, after the key `after` ('': from the start): the
   * `lowest` ones with the fewest tokens left among those looked at, and where to go on.
   */
  lookAfter(prefix: string, after: string, lowest: number, nowMs: number): Promise<LookStep>
}

export interface BucketFacts {
  readonly key: string
  /** Tokens left, with fractions. */
  readonly remaining: number
  readonly burst: number
  /** Tokens out and not refilled yet, those beside a lowered burst too: what counts under another burst. */
  readonly debt: number
  /** Milliseconds until full; undefined: never. */
  readonly resetMs: number | undefined
}

export interface LookStep {
  readonly lowest: readonly BucketFacts[]
  /** To be given as `after` of the next step; undefined: that was all. */
  readonly next: string | undefined
}

export interface TableFacts {
  readonly expired: number
  /** At least so many are left: large tables are counted in passes that take a while. */
  readonly rows: number
}

/** Tokens of one bucket asked for or given back. */
export interface LeaseAsk {
  readonly key: string
  /** Tokens per second. */
  readonly rate: number
  readonly burst: number
  /** `Clock.now()` at which the figures hold. */
  readonly atMs: number
  /** `seq` of the last grant of this bucket here; 0: none. */
  readonly seq: number
  /** Tokens of the last grant that will not be used. Taken back only if nobody was granted any since. */
  readonly give: number
  /** Tokens spent while the store was out of reach, to be booked whatever they lead to. */
  readonly owed: number
  /** Tokens wished for. */
  readonly want: number
  /** Tokens that somebody waits for. */
  readonly least: number
  /** Refill that may be handed out before its time, in tokens; only while nobody else asks. */
  readonly ahead: number
}

/** Answer to one ask: a stretch of the bucket's line (see `TokenBucket`), empty when `from` equals `to`. */
export interface LeaseGrant {
  readonly atMs: number
  readonly from: number
  readonly to: number
  readonly isContiguous: boolean
  readonly tail: number
  /** To be repeated in the next ask: says that the last stretch is one's own. 0: it is not. */
  readonly seq: number
  /** Another holder wants tokens of this bucket: hold little. */
  readonly isContended: boolean
}

export interface BanChange {
  readonly agent: string
  readonly action: 'ban' | 'unban'
  readonly reason: string
  readonly author: string
  /** Unix milliseconds. */
  readonly atWallMs: number
  /** Unix milliseconds; undefined: until it is lifted. */
  readonly untilWallMs: number | undefined
}

export interface BanRecord extends BanChange {
  /** Grows with every change of any process. */
  readonly revision: number
}
