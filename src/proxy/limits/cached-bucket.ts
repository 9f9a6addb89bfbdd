import type { TokenBucket } from '../../policy/limits/token-bucket.ts'
import type { LimitVerdict } from './limit-gate.ts'
import type { LimitRule } from './limit-rule.ts'

/** One limit of one agent, with its cached buckets. */
export interface LimitScope {
  readonly agent: string
  readonly rule: LimitRule
  readonly isPerByte: boolean
  readonly buckets: Map<string, CachedBucket>
  /** Shared with the limit of the same name that this one replaced: a reload forgets no count. */
  readonly counts: DenialCounts
}

/** Denials of one limit since the start. */
export interface DenialCounts {
  enforced: number
  /** Would have been denied, but the limit only counts. */
  shadow: number
}

/** A check that waits for tokens from the store. */
export interface Waiter {
  readonly agent: string
  readonly cost: number
  /** `Clock.now()` after which it is denied, should others always be faster. */
  readonly untilMs: number
  readonly resolve: (verdict: LimitVerdict) => void
}

const NOBODY: readonly Waiter[] = []

/** A bucket in memory: what it holds, its place in the order of use, and who waits for it. */
export class CachedBucket {
  readonly scope: LimitScope
  /** The part of the request that the limit counts apart: the key in `scope.buckets`. */
  readonly part: string
  /** Key in the store. */
  readonly key: string
  readonly bucket: TokenBucket
  /** Order of use; owned by the cache. */
  newer: CachedBucket | undefined
  older: CachedBucket | undefined
  isCached = false
  /** Used since the last checkpoint. */
  isDirty = false
  /** Not used for a whole tick: what it holds goes back, unless it is used first. */
  isResting = false
  /** Where its ask is; owned by the courier. */
  askState: 'idle' | 'queued' | 'urgent' | 'sent' = 'idle'
  #waiters: Waiter[] | undefined
  /** `seq` of the last grant; 0: none yet. */
  seq = 0
  isContended = false
  /** `Clock.now()` of the last answer of the store; what others had then is what is known of them. */
  grantedAtMs = Number.NEGATIVE_INFINITY
  /** Checks denied, or counted in shadow mode, since the bucket is in memory. */
  denials = 0
  /** Tokens taken while the store was out of reach, not booked there yet. */
  owed = 0
  /** The store lost what was booked: all that is spent and not refilled yet is owed to it. */
  isUnbooked = false
  /** Tokens taken since the last checkpoint. */
  spent = 0
  /** More tokens are asked for, ahead of need, once `spent` passes this. */
  refillAt = Number.NEGATIVE_INFINITY
  /** Or once it is used after this instant: what is held evaporates. */
  refillAfterMs = Number.POSITIVE_INFINITY

  constructor(scope: LimitScope, part: string, key: string, bucket: TokenBucket) {
    this.scope = scope
    this.part = part
    this.key = key
    this.bucket = bucket
  }

  /** The store has to be told what was spent. */
  get owes(): boolean {
    return this.owed > 0 || this.isUnbooked
  }

  get hasWaiters(): boolean {
    return this.#waiters !== undefined
  }

  /** Tokens that checks wait for. */
  get waitingCost(): number {
    let cost = 0
    if (this.#waiters !== undefined) for (const waiter of this.#waiters) cost += waiter.cost
    return cost
  }

  wait(waiter: Waiter): void {
    if (this.#waiters === undefined) this.#waiters = [waiter]
    else this.#waiters.push(waiter)
  }

  /** The store is another one: what is held came from the old one, what is spent has to be booked in the new one. */
  rebook(): void {
    this.bucket.lapse()
    this.seq = 0
    this.isContended = false
    this.isUnbooked = true
  }

  /** All of them, in their order; nobody waits afterwards. */
  takeWaiters(): readonly Waiter[] {
    const waiters = this.#waiters ?? NOBODY
    this.#waiters = undefined
    return waiters
  }
}
