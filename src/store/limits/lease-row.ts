/** One bucket as it is stored. Satisfies nobody's import: the limiter's port has the same shapes. */
export interface LeaseRow {
  /** Tokens handed out and not refilled yet, at `atMs`. May pass the burst by what was handed out ahead. */
  readonly debt: number
  /** Debt beyond a burst that was lowered: nobody waits for its refill, but it counts again once the burst is raised. */
  readonly aside: number
  readonly rate: number
  readonly burst: number
  /** Monotonic milliseconds of the host since it started. */
  readonly atMs: number
  /** Which start of which host `atMs` counts from. */
  readonly epoch: number
  readonly wallMs: number
  /** Changes with every change of the debt that another holder must not overlook. */
  readonly seq: number
  /** When somebody last got less than needed; -Infinity: never. */
  readonly wantedMs: number
}

export interface RowAsk {
  readonly rate: number
  readonly burst: number
  readonly seq: number
  readonly give: number
  readonly owed: number
  readonly want: number
  readonly least: number
  readonly ahead: number
}

export interface RowGrant {
  readonly atMs: number
  readonly from: number
  readonly to: number
  readonly isContiguous: boolean
  readonly tail: number
  readonly seq: number
  readonly isContended: boolean
}

export interface HostTime {
  readonly epoch: number
  /** Monotonic milliseconds; within one epoch comparable between processes. */
  readonly nowMs: number
  readonly wallMs: number
}

/** Milliseconds for which a holder that got too little makes the others hold little. */
const CONTENTION_MS = 2000
/** Refill that is let go of before its time although others want it, milliseconds: an answer's way back. */
const CONTENDED_AHEAD_MS = 300
/** A host that was off for longer than this has a wrong clock. */
const LONGEST_REST_MS = 366 * 86_400_000
/** Tokens; rounding of fractions. */
const EPSILON = 1e-9

/** Refill time since the row was written, in milliseconds. Steps of the wall clock grant nothing. */
export function elapsedMs(row: LeaseRow, time: HostTime): number {
  if (row.epoch === time.epoch) return Math.max(0, time.nowMs - row.atMs)
  const rest = time.wallMs - row.wallMs
  return rest > 0 && rest <= LONGEST_REST_MS ? rest : 0
}

/** How a bucket stands by its row: tokens that holders have and did not spend yet count as gone. */
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

/** Debt and what is aside after the refill since the row was written, which pays the debt first. */
function refilled(row: LeaseRow, time: HostTime): { readonly debt: number; readonly aside: number } {
  const debt = row.debt - (row.rate / 1000) * elapsedMs(row, time)
  return { debt: Math.max(0, debt), aside: Math.max(0, row.aside + Math.min(0, debt)) }
}

export function bucketFacts(key: string, row: LeaseRow, time: HostTime): BucketFacts {
  const { rate, burst } = row
  const { debt, aside } = refilled(row, time)
  const resetMs = debt === 0 ? 0 : rate === 0 ? undefined : (debt / rate) * 1000
  return { key, remaining: Math.max(0, burst - debt), burst, debt: debt + aside, resetMs }
}

/** The `most` buckets with the fewest tokens left, those first. */
export function mergeLowest(
  one: readonly BucketFacts[],
  other: readonly BucketFacts[],
  most: number,
): readonly BucketFacts[] {
  return [...one, ...other].sort((a, b) => a.remaining - b.remaining).slice(0, most)
}

/** The row is full again: forgetting it changes nothing. */
export function isFull(row: LeaseRow, time: HostTime): boolean {
  const { debt, aside } = refilled(row, time)
  return debt + aside === 0
}

/**
 * One ask settled against one row: the only place where stored tokens change hands. The row's debt covers
 * every token that any holder may have spent, so a holder that dies takes nothing with it but its own share.
 */
export function settleRow(
  row: LeaseRow | undefined,
  ask: RowAsk,
  time: HostTime,
): { readonly row: LeaseRow; readonly grant: RowGrant } {
  const atMs = row !== undefined && row.epoch === time.epoch ? Math.max(row.atMs, time.nowMs) : time.nowMs
  let { debt, aside } = row === undefined ? { debt: 0, aside: 0 } : refilled(row, time)
  if (row !== undefined && row.burst !== ask.burst) {
    const all = debt + aside
    debt = Math.min(all, ask.burst)
    aside = all - debt
  }
  const isMine = row !== undefined && ask.seq === row.seq
  /* A line that stands still has no places to be in the way of: there only counts how many tokens are out. */
  const isStill = row !== undefined && row.rate === 0 && ask.rate === 0
  const isTakenBack = ask.give > 0 && (isMine || isStill)
  if (isTakenBack) debt = Math.max(0, debt - ask.give)
  debt += ask.owed

  const wantedMs = row !== undefined && row.epoch === time.epoch ? row.wantedMs : Number.NEGATIVE_INFINITY
  const isContended = (!isMine && debt > EPSILON) || atMs - wantedMs < CONTENTION_MS
  const free = ask.burst - debt
  const offered = isContended ? Math.max(ask.least, free / 2) : ask.want
  const ahead = isContended ? Math.min(ask.ahead, (ask.rate / 1000) * CONTENDED_AHEAD_MS) : ask.ahead
  const granted = Math.max(0, Math.min(ask.want, offered, free + ahead))
  const isShort = granted + EPSILON < ask.least
  const given = isShort && granted < 1 ? 0 : granted
  const tail = debt + given
  const isNewOwner = given > 0 || ask.owed > 0 || row === undefined || (isTakenBack && !isMine)
  const seq = isNewOwner ? (row?.seq ?? 0) + 1 : row.seq
  return {
    row: {
      debt: tail,
      aside,
      rate: ask.rate,
      burst: ask.burst,
      atMs,
      epoch: time.epoch,
      wallMs: time.wallMs,
      seq,
      wantedMs: isShort ? atMs : wantedMs,
    },
    grant: {
      atMs,
      from: debt,
      to: tail,
      isContiguous: isMine && ask.owed === 0,
      tail,
      /* Who got nothing must not pass for the owner of the last stretch. */
      seq: isNewOwner || isMine ? seq : 0,
      isContended,
    },
  }
}
