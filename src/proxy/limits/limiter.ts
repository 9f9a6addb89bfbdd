import type { Clock, TimerHandle } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { BanBook } from './ban-book.ts'
import type { CachedBucket, LimitScope } from './cached-bucket.ts'
import { LeasedBuckets, type LeasedBucketsOptions, type StoreFailurePolicy } from './leased-buckets.ts'
import { banned } from './limit-answers.ts'

import {
  type LimitAllowed,
  type LimitGate,
  type LimitRequest,
  type LimitVerdict,
  UNCOUNTED,
} from './limit-gate.ts'
import { LimitInspection } from './limit-inspection.ts'
import { costOf, Receipt } from './limit-receipt.ts'

import { keyOf } from './limit-rule.ts'
import { type LimitPlan, LimitScopes } from './limit-scopes.ts'
import type { LimitStore } from './limit-store.ts'
import { LimiterCounters, type LimiterStats, type LimitStoreHealth } from './limiter-stats.ts'

/** One limit as it stands, for headers and operators. */
export interface LimitView {
  readonly rule: string
  readonly limit: number
  /** Whole tokens left; what the whole burst is while `isKnown` is false. */
  readonly remaining: number
  /** The bucket is in memory: `remaining` is what the next check would see. */
  readonly isKnown: boolean
  /** Milliseconds until full; undefined: never. */
  readonly resetMs: number | undefined
  readonly ratePerSecond: number
}

/** Between checkpoints, looks at other processes' bans, and steps of the store's housekeeping. */
const TICK_MS = 1000

/** Longest that housekeeping may take before the store counts as out of reach: nobody waits for it. */
const HOUSEKEEPING_TIMEOUT_MS = 2500

/**
 * Bans and token buckets of all agents, in two levels: a bounded cache that decides in the same turn, and a
 * store that hands tokens out before they are spent. See README.md for why no crash and no second process
 * can admit more than `burst + rate x elapsed`.
 */
export class Limiter implements LimitGate {
  readonly bans: BanBook
  /** Looks at buckets, for operators. */
  readonly inspection: LimitInspection
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #buckets: LeasedBuckets
  readonly #counters = new LimiterCounters()
  readonly #scopes = new LimitScopes()
  #timer: TimerHandle | undefined
  #isTicking = false
  #drained: Promise<void> | undefined

  constructor(options: LeasedBucketsOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.bans = new BanBook(options.store, options.clock)
    this.#buckets = new LeasedBuckets(options, this.bans, this.#counters)
    this.inspection = new LimitInspection(this.#scopes, options.store, options.clock)
    options.store.whenReplaced(() => this.#rebook())
  }

  /** Loads the bans, then keeps checkpoints and bans going each second. Rejects with STORAGE. */
  async start(): Promise<void> {
    await this.bans.refresh()
    this.#schedule()
  }

  /**
   * Puts limits in force. A limit that stays as it was keeps its buckets; a changed one keeps what was spent,
   * by way of the store, to which they go some hundred per turn of the event loop. Throws INVALID_ARGUMENT and then changes nothing.
   */
  configure(plan: LimitPlan): void {
    this.#buckets.retire(this.#scopes.replace(plan))
  }

  check(request: LimitRequest): LimitVerdict | Promise<LimitVerdict> {
    if (this.bans.size !== 0) {
      const ban = this.bans.find(request.agentName)
      if (ban !== undefined) {
        this.#counters.banned++
        return banned(ban)
      }
    }
    const scopes = this.#scopes.of(request.agentName)
    if (scopes.length === 0) return UNCOUNTED
    if (scopes.length > 1)
      return this.#checkFrom(0, request, scopes, new Receipt(request.startedAt ?? this.#clock.now()))
    const scope = scopes[0]!
    const cost = costOf(scope, request)
    if (cost <= 0) return UNCOUNTED
    const bucket = this.#bucketOf(scope, request)
    return this.#buckets.take(bucket, request, cost)
  }

  refund(request: LimitRequest, receipt: LimitAllowed): void {
    if (receipt === UNCOUNTED) return
    const now = this.#clock.now()
    if (receipt instanceof Receipt) {
      receipt.refund(request, now)
      return
    }
    /* More than one: a reload came in between, and what was taken then is not known any more. */
    const scopes = this.#scopes.of(request.agentName)
    if (scopes.length !== 1) return
    /* Who does not say when it was taken gets back what no refill can have replaced. */
    const takenAt = request.startedAt ?? Number.NEGATIVE_INFINITY
    this.#cached(scopes[0]!, request)?.bucket.refund(costOf(scopes[0]!, request), takenAt, now)
  }

  /** How the limits stand for such a request; takes nothing. Of a bucket not in memory nothing is known. */
  peek(request: LimitRequest): readonly LimitView[] {
    const now = this.#clock.now()
    return this.#scopes.of(request.agentName).map((scope) => {
      const { name, burst, ratePerSecond } = scope.rule
      const tokens = this.#cached(scope, request)?.bucket
      const remaining = Math.floor((tokens?.remaining(now) ?? burst) + 1e-6)
      const resetMs = tokens === undefined ? 0 : tokens.resetMs(now)
      return { rule: name, limit: burst, remaining, isKnown: tokens !== undefined, resetMs, ratePerSecond }
    })
  }

  get storeHealth(): LimitStoreHealth {
    const { isClosed, closedForMs, problem, courier } = this.#buckets
    return { isFailing: isClosed, failingForMs: closedForMs, failures: courier.failures, lastError: problem }
  }

  get stats(): LimiterStats {
    const counters = this.#counters
    const { cache, courier } = this.#buckets
    const { checkpointAtMs } = counters
    return {
      size: cache.size,
      capacity: cache.capacity,
      hits: counters.hits,
      misses: counters.misses,
      evictions: counters.evictions,
      denials: {
        rateLimited: counters.rateLimited,
        banned: counters.banned,
        shadow: counters.shadow,
        store: counters.storeDenied,
      },
      waits: counters.waits,
      uncovered: counters.uncovered,
      limits: Array.from(this.#scopes, ({ agent, rule, counts }) => ({
        agent,
        limit: rule.name,
        denials: counts.enforced,
        shadowDenials: counts.shadow,
      })),
      bans: this.bans.list().length,
      checkpointAgeMs: checkpointAtMs === undefined ? undefined : this.#clock.now() - checkpointAtMs,
      store: {
        ...this.storeHealth,
        backlog: courier.backlog,
        rows: counters.rows,
        expired: counters.expired,
      },
    }
  }

  /** Settles every bucket used since the last time with the store. Never rejects: see `stats.store`. */
  checkpoint(): Promise<void> {
    return this.#buckets.checkpoint()
  }

  /**
   * Changes the number of buckets in memory, >= 1. Those over it give their tokens back, some thousands per turn of the
   * event loop, the ones used longest ago first.
   */
  resize(capacity: number): void {
    this.#buckets.resize(capacity)
  }

  /** Buckets in one call of a checkpoint, >= 1: more are faster, fewer hold the event loop up for less. */
  get checkpointBatch(): number {
    return this.#buckets.courier.laterBatch
  }

  set checkpointBatch(buckets: number) {
    this.#buckets.courier.laterBatch = buckets
  }

  /** The largest one since this was asked last. */
  takeLargestBatch(): number {
    return this.#buckets.courier.takeLargestBatch()
  }

  get onStoreFailure(): StoreFailurePolicy {
    return this.#buckets.onStoreFailure
  }

  /** In force from the next check on, also while the store is out of reach. */
  set onStoreFailure(policy: StoreFailurePolicy) {
    this.#buckets.onStoreFailure = policy
  }

  /** Stops, and gives every unused token back, so that a restart resumes exactly. Twice: the same promise. */
  drain(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#drained ??= this.#buckets.giveAllBack()
    return this.#drained
  }

  /** Takes from each limit in order; the first that denies gets the others their tokens back. */
  #checkFrom(
    start: number,
    request: LimitRequest,
    scopes: readonly LimitScope[],
    receipt: Receipt,
  ): LimitVerdict | Promise<LimitVerdict> {
    for (let index = start; index < scopes.length; index++) {
      const scope = scopes[index]!
      const cost = costOf(scope, request)
      if (cost <= 0) continue
      const bucket = this.#bucketOf(scope, request)
      const answer = this.#buckets.take(bucket, request, cost)
      if (answer instanceof Promise)
        return answer.then(
          (late) =>
            receipt.add(late, bucket, request, this.#clock.now()) ??
            this.#checkFrom(index + 1, request, scopes, receipt),
        )
      const denial = receipt.add(answer, bucket, request, this.#clock.now())
      if (denial !== undefined) return denial
    }
    return receipt.verdict
  }

  #bucketOf(scope: LimitScope, request: LimitRequest): CachedBucket {
    return this.#buckets.of(scope, keyOf(scope.rule.key, request))
  }

  #cached(scope: LimitScope, request: LimitRequest): CachedBucket | undefined {
    return scope.buckets.get(keyOf(scope.rule.key, request))
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(TICK_MS, () => {
      this.#schedule()
      void this.#tick()
    })
  }

  /** One at a time: a store that hangs must not gather calls. What fails shows in `stats.store`. */
  async #tick(): Promise<void> {
    if (this.#isTicking) return
    this.#isTicking = true
    try {
      await this.#buckets.courier.tryAgain()
      const checkpoint = this.checkpoint()
      await this.#keepHouse()
      await checkpoint
    } finally {
      this.#isTicking = false
    }
  }

  async #keepHouse(): Promise<void> {
    const { courier } = this.#buckets
    await courier.watch(this.bans.refresh(), false, HOUSEKEEPING_TIMEOUT_MS)
    if (courier.isFailing) return
    const expiry = this.#store.expireIdle(this.#clock.now())
    const facts = await courier.watch(expiry, true, HOUSEKEEPING_TIMEOUT_MS)
    if (facts instanceof WeirError) return
    this.#counters.rows = facts.rows
    this.#counters.expired += facts.expired
  }

  /** The store is another one than before: what is known here is written into it before it is relied on. */
  #rebook(): void {
    this.#buckets.rebook()
    this.bans.rewrite()
    void this.#buckets.courier.watch(this.bans.refresh(), false)
    void this.#buckets.courier.tryAgain().then(() => this.checkpoint())
  }
}
