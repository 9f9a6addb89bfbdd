import { WeirError } from '../../core/errors.ts'

/**
 * `taken`: the cost was deducted. `empty`: the bucket lacks tokens, nothing was deducted. `uncovered`: there
 * are tokens, but the store has not let go of enough of them yet; nothing was deducted.
 */
export type Take = 'taken' | 'empty' | 'uncovered'

/** A stretch of the bucket's line that the store let go of. Positions count from the refill at `atMs`. */
export interface Stretch {
  readonly atMs: number
  readonly from: number
  readonly to: number
  /** It starts where the last stretch ended: nobody else got tokens in between. */
  readonly isContiguous: boolean
  /** End of everything handed out to anybody. */
  readonly tail: number
}

/** Tokens; absorbs rounding of fractions. It bounds the error once, not once per take. */
const EPSILON = 1e-6
/** Of the burst: what a lightly used bucket reaches for. */
const LEAVING_REST = 0.75
/** Refill that even a small burst is leased ahead, so that a bucket in use is not leased for every few events. */
const LEAST_AHEAD_MS = 300
/** Tokens; positions are counted anew beyond it, so that fractions keep their precision over years. */
const REBASE_ABOVE = 1e6

/**
 * A token bucket as a line of tokens: `refilled(now)` moves along it at `rate`, every taken token has a place
 * on it, and no place lies further ahead than `burst`. So any window of length T admits at most
 * `burst + rate x T`, refill costs nothing, and fractions are never lost.
 *
 *     refilled(now)        position          ceiling           refilled + burst
 *     |====== spent =======|---- held -------|                 |
 *     `------------- what any window may hold -----------------'
 *
 * A leased bucket only takes places below `ceiling`, up to which a store has let go of them; places of
 * different holders never overlap, which is why their sum keeps the limit too.
 */
export class TokenBucket {
  /** Tokens per second, >= 0. At 0 the burst is all there ever is. */
  readonly rate: number
  /** Tokens, > 0: the most that can be taken at once after a rest. */
  readonly burst: number
  readonly #perMs: number
  /* Fields that start as a fraction are written in place; others cost a new heap number per check (measured). */
  #originMs = Number.NaN
  /** Carried, but more than this burst; until the store answers, which knows better. */
  #aside = 0
  /** Everything below is spent, evaporated or somebody else's. */
  #position = Number.NaN
  /** Start of the stretch that `position` is in; refunds stop here. */
  #floor = Number.NaN
  #ceiling = Number.NaN
  /** The stretch after the present one, when somebody else got the places between; `nextTo` < 0: none. */
  #nextFrom = Number.NaN
  #nextTo = Number.NEGATIVE_INFINITY
  #tail = Number.NEGATIVE_INFINITY
  /** The position, while it is where others stood at the last grant and nothing was taken here since; else NaN. */
  #othersAt = Number.NaN

  /** Throws INVALID_ARGUMENT for a negative or infinite rate and for a burst that is not above 0. */
  constructor(rate: number, burst: number, nowMs: number, isLeased = false) {
    if (!(rate >= 0 && Number.isFinite(rate)))
      throw new WeirError('INVALID_ARGUMENT', `rate ${rate} is not a finite number >= 0; 0 means never`)
    if (!(burst > 0 && Number.isFinite(burst)))
      throw new WeirError('INVALID_ARGUMENT', `burst ${burst} is not a finite number above 0`)
    this.rate = rate
    this.burst = burst
    this.#perMs = rate / 1000
    this.#originMs = nowMs
    const start = isLeased ? Number.NEGATIVE_INFINITY : 0
    this.#position = start
    this.#floor = start
    this.#ceiling = isLeased ? start : Number.POSITIVE_INFINITY
  }

  /** Deducts `cost` tokens (> 0) or nothing. Throws INVALID_ARGUMENT for a cost that can never succeed. */
  take(nowMs: number, cost: number): Take {
    const refilled = (nowMs - this.#originMs) * this.#perMs
    const from = Math.max(this.#position, refilled)
    const to = from + cost
    if (to > refilled + this.burst + EPSILON) {
      this.#mustFit(cost)
      return 'empty'
    }
    if (to > this.#ceiling) return this.#takeAcross(refilled, from, cost)
    this.#position = to
    if (refilled > REBASE_ABOVE) this.#rebase(nowMs)
    return 'taken'
  }

  /** What `take` would answer; changes nothing. */
  peek(nowMs: number, cost: number): Take {
    this.#mustFit(cost)
    if (this.retryAfterMs(nowMs, cost) !== 0) return 'empty'
    return cost > this.held(nowMs) + EPSILON ? 'uncovered' : 'taken'
  }

  /**
   * Gives back what was taken at `takenAtMs` and not used, less what the line refilled since: those places are gone, and
   * were taken anew perhaps. Never fills above the burst, nor into others' places.
   */
  refund(cost: number, takenAtMs: number, nowMs: number): void {
    const gone = this.#perMs === 0 ? 0 : this.#perMs * Math.max(0, nowMs - takenAtMs)
    this.#position = Math.max(this.#floor, this.#position - Math.max(0, cost - gone))
  }

  /** Takes over what another bucket of the same name spent, before anything was taken here. */
  carry(debt: number): void {
    if (debt <= 0) return
    this.#position = Math.min(debt, this.burst)
    this.#aside = debt - this.#position
  }

  /** What a bucket that takes this one's place is to `carry`: a lowered burst forgives nothing once it is raised. */
  debtToCarry(nowMs: number): number {
    return this.debt(nowMs) + this.#aside
  }

  /** Deducts without asking the ceiling; for a store that is out of reach. False: the burst is used up. */
  takeUncovered(nowMs: number, cost: number): boolean {
    const refilled = this.#refilled(nowMs)
    const to = Math.max(this.#position, refilled) + cost
    if (to > refilled + this.burst + EPSILON) return false
    this.#position = to
    this.#nextTo = Number.NEGATIVE_INFINITY
    return true
  }

  /** Tokens spent and not refilled yet, 0..burst. */
  debt(nowMs: number): number {
    return Math.max(0, this.#position - this.#refilled(nowMs))
  }

  /** Tokens that can be taken now, as far as known here. */
  remaining(nowMs: number): number {
    return Math.max(0, this.burst - this.debt(nowMs))
  }

  /** Tokens that can be taken without asking the store. */
  held(nowMs: number): number {
    const refilled = this.#refilled(nowMs)
    const held = Math.max(0, this.#ceiling - Math.max(this.#position, refilled))
    return this.#nextTo < 0 ? held : held + Math.max(0, this.#nextTo - Math.max(this.#nextFrom, refilled))
  }

  /** Milliseconds until `cost` can succeed, exact when nobody else takes; undefined: never. */
  retryAfterMs(nowMs: number, cost: number): number | undefined {
    if (cost > this.burst) return undefined
    const missing = this.debt(nowMs) + cost - this.burst
    return this.#refillMs(missing)
  }

  /** Milliseconds until the store can cover `cost`, given what others had at the last grant; undefined: never. */
  coverableInMs(nowMs: number, cost: number): number | undefined {
    const refilled = this.#refilled(nowMs)
    const tail = Math.max(this.#tail, refilled)
    return this.#refillMs(tail - refilled + Math.max(0, cost - this.held(nowMs)) - this.burst)
  }

  /** Milliseconds until the bucket is full; undefined: never. */
  resetMs(nowMs: number): number | undefined {
    return this.#refillMs(this.debt(nowMs))
  }

  /**
   * Tokens to ask for, negative: to give back, so that `reserve` above the present debt and `aheadMs` of refill
   * are covered. A bucket with more than half its tokens leaves some of the burst to other holders.
   */
  wanted(nowMs: number, reserve: number, aheadMs: number): number {
    const debt = this.debt(nowMs)
    const near = Math.min(this.burst, debt + reserve)
    const far = near + this.#perMs * aheadMs
    if (debt > this.burst / 2) return far - debt - this.held(nowMs)
    const modest = Math.max(near, LEAVING_REST * this.burst, debt + this.#perMs * LEAST_AHEAD_MS)
    return Math.min(far, modest) - debt - this.held(nowMs)
  }

  /** Milliseconds until what is held now has evaporated, if nothing is taken; Infinity at rate 0. */
  heldForMs(nowMs: number): number {
    return this.#perMs === 0 ? Number.POSITIVE_INFINITY : this.held(nowMs) / this.#perMs
  }

  /** Takes over what the store let go of. */
  grant(stretch: Stretch): void {
    this.#rebase(stretch.atMs)
    this.#tail = stretch.tail
    this.#aside = 0
    if (this.#perMs === 0 && this.#position <= this.#ceiling) {
      this.#count(stretch)
      return
    }
    if (stretch.to <= stretch.from) {
      /* Nothing yet, but now it is known what others, or this process before its restart, spent. */
      const isUntouched = this.#position === Number.NEGATIVE_INFINITY || this.#position === this.#othersAt
      if (isUntouched || this.#ceiling === Number.NEGATIVE_INFINITY) this.#enter(stretch.from, stretch.from)
      if (isUntouched) this.#othersAt = this.#position
      return
    }
    if (stretch.isContiguous && this.#nextTo >= 0) {
      this.#nextTo = stretch.to
    } else if (stretch.isContiguous && this.#ceiling > 0) {
      this.#ceiling = stretch.to
    } else if (this.#ceiling <= Math.max(this.#position, 0)) {
      this.#enter(stretch.from, stretch.to)
    } else {
      /* Two stretches at most: with three, what is left of the oldest lapses, which is on the safe side. */
      if (this.#nextTo >= 0) this.#enter(this.#nextFrom, this.#nextTo)
      this.#nextFrom = stretch.from
      this.#nextTo = stretch.to
    }
  }

  /**
   * At rate 0 the line stands still, and only numbers count: what is held and what is new make one stretch at the end of
   * what is out, whatever others got and gave back in between.
   */
  #count({ atMs, from, to }: Stretch): void {
    this.#position = Math.max(0, from - this.held(atMs))
    this.#ceiling = to
    this.#nextTo = Number.NEGATIVE_INFINITY
  }

  /** Lets go of up to `tokens` of the newest stretch and says how many those were. */
  giveBack(nowMs: number, tokens: number): number {
    const refilled = this.#refilled(nowMs)
    const hasNext = this.#nextTo >= 0
    const from = Math.max(hasNext ? this.#nextFrom : this.#position, refilled)
    const to = hasNext ? this.#nextTo : this.#ceiling
    const given = Math.min(tokens, to - from)
    if (!(given > 0) || to === Number.POSITIVE_INFINITY) return 0
    if (hasNext) this.#nextTo = to - given
    else this.#ceiling = to - given
    return given
  }

  /** As `giveBack` of all that is held. What is left of an older stretch lapses: others came after it. */
  giveBackAll(nowMs: number): number {
    const given = this.giveBack(nowMs, Number.POSITIVE_INFINITY)
    this.#nextTo = Number.NEGATIVE_INFINITY
    this.#ceiling = Math.min(this.#ceiling, this.#position)
    return given
  }

  /** The store forgot what it let go of: nothing is held any more, and what was spent stays spent. */
  lapse(): void {
    this.#nextTo = Number.NEGATIVE_INFINITY
    this.#tail = Number.NEGATIVE_INFINITY
    this.#ceiling = Math.min(this.#ceiling, this.#position)
    this.#floor = this.#position
  }

  #takeAcross(refilled: number, from: number, cost: number): Take {
    if (this.#nextTo < 0) return 'uncovered'
    const rest = cost - Math.max(0, this.#ceiling - from)
    const to = Math.max(this.#nextFrom, refilled) + rest
    if (to > this.#nextTo) return 'uncovered'
    if (to > refilled + this.burst + EPSILON) return 'empty'
    this.#enter(this.#nextFrom, this.#nextTo)
    this.#position = to
    return 'taken'
  }

  #enter(from: number, to: number): void {
    this.#floor = from
    /* Others may have given tokens back since: what they had then is no reason not to take these. */
    this.#position = this.#position === this.#othersAt ? from : Math.max(from, this.#position)
    this.#ceiling = to
    this.#nextTo = Number.NEGATIVE_INFINITY
  }

  #refilled(nowMs: number): number {
    return (nowMs - this.#originMs) * this.#perMs
  }

  #refillMs(tokens: number): number | undefined {
    if (tokens <= EPSILON) return 0
    return this.#perMs === 0 ? undefined : tokens / this.#perMs
  }

  #rebase(originMs: number): void {
    const shift = this.#refilled(originMs)
    this.#originMs = originMs
    this.#position -= shift
    this.#floor -= shift
    this.#ceiling -= shift
    this.#tail -= shift
    this.#othersAt -= shift
    if (this.#nextTo >= 0) {
      this.#nextFrom -= shift
      this.#nextTo -= shift
    }
  }

  #mustFit(cost: number): void {
    if (!(cost > 0)) throw new WeirError('INVALID_ARGUMENT', `cost ${cost} is not above 0`)
    if (cost > this.burst)
      throw new WeirError(
        'INVALID_ARGUMENT',
        `cost ${cost} is above the burst ${this.burst} and can never be taken: raise the burst`,
      )
  }
}
