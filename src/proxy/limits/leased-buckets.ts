import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { Probe } from '../../core/probe.ts'
import { TokenBucket } from '../../policy/limits/token-bucket.ts'
import type { BanBook } from './ban-book.ts'
import { BucketCache } from './bucket-cache.ts'
import { CachedBucket, type LimitScope } from './cached-bucket.ts'
import { LeaseCourier } from './lease-courier.ts'
import { askForReturn, askForUse, isIdleHolder } from './lease-terms.ts'
import { LeavingBuckets } from './leaving-buckets.ts'
import { banned, outOfTokens, storeOutOfReach } from './limit-answers.ts'
import { ALLOWED, type LimitDenied, type LimitRequest, type LimitVerdict, UNCOUNTED } from './limit-gate.ts'
import type { LeaseAsk, LeaseGrant, LimitStore } from './limit-store.ts'
import type { LimiterCounters } from './limiter-stats.ts'
import { RetiringScopes } from './retiring-scopes.ts'

/** What a check answers when tokens are not covered and the store is out of reach. */
export type StoreFailurePolicy = 'deny' | 'allow' | 'memory-only'

export interface LeasedBucketsOptions {
  readonly store: LimitStore
  readonly clock: Clock
  readonly probe: Probe
  /** Buckets in memory, >= 1. Others are in the store. */
  readonly capacity: number
  readonly onStoreFailure: StoreFailurePolicy
  /** Longest that a check waits for the store. */
  readonly storeTimeoutMs: number
}

/** Slices that a checkpoint queues at once: it takes as long as it takes, and nobody feels it. */
const SLICES_AT_ONCE = 4
/** Buckets that leave the memory in one turn when its capacity is made smaller: a few milliseconds. */
const SHRINK_STEP = 5000
/** Buckets of limits that are not in force any more that leave the memory in one turn: about a millisecond. */
const RETIRE_STEP = 512
/** What is known of other holders is asked for anew after this. */
const OLD_NEWS_MS = 1000
/**
 * For this long a store that took another one's place is told what was spent, and nothing is taken from it: other processes
 * find out within a second or so, book what they know, and may spend what they hold of the old one until then.
 */
const BOOKING_MS = 2500
/** Longest that a call may take at a clean end. */
const GIVE_BACK_TIMEOUT_MS = 2500

/**
 * The buckets in memory and their way to the store: a token is spent only after the store let go of it, and what
 * is not needed goes back.
 */
export class LeasedBuckets {
  readonly cache: BucketCache
  readonly courier: LeaseCourier
  onStoreFailure: StoreFailurePolicy
  readonly #clock: Clock
  readonly #bans: BanBook
  readonly #counters: LimiterCounters
  readonly #storeTimeoutMs: number
  readonly #leaving = new LeavingBuckets()
  readonly #retiring = new RetiringScopes()
  #isRetiring = false
  #dirty: CachedBucket[] = []
  /** Those that the last checkpoint settled. */
  #settled: readonly CachedBucket[] = []
  #bookingSinceMs = Number.NEGATIVE_INFINITY

  constructor(options: LeasedBucketsOptions, bans: BanBook, counters: LimiterCounters) {
    this.#clock = options.clock
    this.#bans = bans
    this.#counters = counters
    this.onStoreFailure = options.onStoreFailure
    this.#storeTimeoutMs = options.storeTimeoutMs
    this.cache = new BucketCache(options.capacity, (bucket) => this.#evicted(bucket))
    this.courier = new LeaseCourier({
      store: options.store,
      clock: options.clock,
      probe: options.probe,
      timeoutMs: options.storeTimeoutMs,
      host: {
        compose: (bucket, nowMs) => this.#compose(bucket, nowMs),
        granted: (bucket, grant) => this.#granted(bucket, grant),
        failed: (bucket, ask) => this.#failed(bucket, ask),
      },
    })
  }

  /** The bucket of this part of the scope, fetched into memory if need be. */
  of(scope: LimitScope, part: string): CachedBucket {
    const found = scope.buckets.get(part)
    if (found !== undefined) {
      this.#counters.hits++
      this.cache.touch(found)
      return found
    }
    this.#counters.misses++
    const key = bucketKey(scope, part)
    const before = this.#retiring.find(scope, part)
    if (before !== undefined) {
      this.#letGo(before)
      this.courier.ask(before)
    }
    const leaving = this.#leaving.get(key)
    const { ratePerSecond, burst } = scope.rule
    if (leaving !== undefined && leaving.scope === scope) {
      this.#leaving.delete(leaving)
      this.cache.add(leaving)
      return leaving
    }
    const now = this.#clock.now()
    const tokens = new TokenBucket(ratePerSecond, burst, now, true)
    const bucket = new CachedBucket(scope, part, key, tokens)
    this.cache.add(bucket)
    if (leaving !== undefined) {
      tokens.carry(leaving.bucket.debtToCarry(now))
      this.#leaving.succeed(leaving)
      /* What it gives back goes ahead of what the new limit asks for. */
      this.courier.ask(leaving)
      /* Its row is to follow the new limit from now on, though nothing be taken yet. */
      this.courier.askLater(bucket)
    }
    return bucket
  }

  /** Takes `cost` tokens: in this turn when they are held here, else by way of the store. */
  take(bucket: CachedBucket, request: LimitRequest, cost: number): LimitVerdict | Promise<LimitVerdict> {
    const now = request.startedAt ?? this.#clock.now()
    if (cost > bucket.bucket.burst) return this.#deny(bucket, outOfTokens(bucket, now, cost))
    if (!bucket.hasWaiters) {
      const outcome = bucket.bucket.take(now, cost)
      if (outcome === 'taken') {
        this.#spent(bucket, now, cost)
        return ALLOWED
      }
      if (outcome === 'empty') return this.#denyFor(bucket, now, outOfTokens(bucket, now, cost))
    }
    return this.#cover(bucket, request.agentName, now, cost)
  }

  /** Buckets over the capacity leave in the next turns, so that a much smaller one does not hold up traffic. */
  resize(capacity: number): void {
    this.cache.capacity = capacity
    const shrink = (): void => {
      if (this.cache.shrink(SHRINK_STEP)) setImmediate(shrink)
    }
    shrink()
  }

  /** Settles every bucket used since the last time with the store, and those that rest since. Never rejects. */
  async checkpoint(): Promise<void> {
    const dirty = this.#dirty
    const settled = this.#settled
    void this.#retire()
    this.#dirty = []
    this.#settled = dirty
    await this.#inSteps(settled, (bucket) => this.#letRest(bucket))
    const done = await this.#inSteps(dirty, (bucket) => {
      bucket.isDirty = false
      if (bucket.isCached) this.courier.askLater(bucket)
    })
    for (let next = done; next < dirty.length; next++) this.#dirty.push(dirty[next]!)
    if (!this.courier.isFailing) this.#counters.checkpointAtMs = this.#clock.now()
  }

  /** As many as the store takes at a time, until all are done or it is out of reach; says how many were. */
  async #inSteps(buckets: readonly CachedBucket[], ask: (bucket: CachedBucket) => void): Promise<number> {
    let next = 0
    while (next < buckets.length && !this.courier.isFailing) {
      const step = SLICES_AT_ONCE * this.courier.laterBatch
      for (const end = Math.min(next + step, buckets.length); next < end; next++) ask(buckets[next]!)
      await this.courier.settled()
    }
    return next
  }

  #letRest(bucket: CachedBucket): void {
    if (bucket.isDirty || !bucket.isCached || !isIdleHolder(bucket, this.#clock.now())) return
    bucket.isResting = true
    this.courier.askLater(bucket)
  }

  /** Takes the buckets of limits that are not in force any more out of memory, a step per turn, the first one now. */
  retire(scopes: readonly LimitScope[]): void {
    for (const scope of scopes) this.#retiring.add(scope)
    void this.#retire()
  }

  async #retire(): Promise<void> {
    if (this.#isRetiring) return
    this.#isRetiring = true
    /* While the store is out of reach they stay where they are, under the bound of the memory. */
    while (!this.courier.isFailing) {
      const buckets = this.#retiring.take(RETIRE_STEP)
      if (buckets.length === 0) break
      for (const bucket of buckets) {
        this.#letGo(bucket)
        this.courier.askLater(bucket)
      }
      await this.courier.settled()
      await nextTurn()
    }
    this.#isRetiring = false
  }

  #letGo(bucket: CachedBucket): void {
    this.cache.remove(bucket)
    this.#leaving.add(bucket)
  }

  /** How long tokens cannot be had of the store: it is out of reach, or not all is booked in it. 0: they can. */
  get closedForMs(): number {
    const bookingMs = this.#clock.now() - this.#bookingSinceMs
    return Math.max(this.courier.failingForMs, bookingMs < BOOKING_MS ? bookingMs : 0)
  }

  /** Why they cannot, or what was wrong last; undefined: nothing ever was. */
  get problem(): string | undefined {
    const isBooking = !this.courier.isFailing && this.#isBooking(this.#clock.now())
    return isBooking ? 'it took the place of a lost one and is told what was spent' : this.courier.lastError
  }

  get isClosed(): boolean {
    return this.courier.isFailing || this.#isBooking(this.#clock.now())
  }

  /** The store lost what it held: books what the buckets in memory know, before anything is granted anew. */
  rebook(): void {
    this.#bookingSinceMs = this.#clock.now()
    for (const bucket of this.cache) {
      bucket.rebook()
      this.#markDirty(bucket)
    }
    this.#leaving.rebook()
  }

  /** Gives every unused token back. */
  async giveAllBack(): Promise<void> {
    /* Nobody waits any more, and what does not reach the store lapses: a slow one is given its time. */
    this.courier.timeoutMs = Math.max(this.courier.timeoutMs, GIVE_BACK_TIMEOUT_MS)
    await this.courier.tryAgain()
    /* What is on its way would be granted after the return. */
    await this.courier.quiet()
    while (this.cache.size > 0) {
      let left = SLICES_AT_ONCE * this.courier.laterBatch
      for (const bucket of this.cache) {
        this.cache.remove(bucket)
        this.#giveBack(bucket)
        if (--left <= 0) break
      }
      await this.courier.settled()
    }
    await this.courier.quiet()
  }

  /** The bucket has tokens, but they have to be got from the store first. */
  #cover(
    bucket: CachedBucket,
    agent: string,
    now: number,
    cost: number,
  ): LimitVerdict | Promise<LimitVerdict> {
    if (this.courier.isFailing || this.#isBooking(now)) return this.#withoutStore(bucket, now, cost)
    const waitMs = bucket.bucket.coverableInMs(now, cost)
    if (waitMs !== 0) return this.#denyFor(bucket, now, outOfTokens(bucket, now, cost, waitMs))
    this.#counters.waits++
    return new Promise((resolve) => {
      bucket.wait({ agent, cost, untilMs: now + this.#storeTimeoutMs, resolve })
      this.courier.ask(bucket)
    })
  }

  #isBooking(now: number): boolean {
    return now - this.#bookingSinceMs < BOOKING_MS
  }

  #withoutStore(bucket: CachedBucket, now: number, cost: number): LimitVerdict {
    switch (this.onStoreFailure) {
      case 'deny': {
        const denial = storeOutOfReach(bucket, now)
        if (denial.shadow) return this.#deny(bucket, denial)
        this.#counters.storeDenied++
        return denial
      }
      case 'allow':
        this.#counters.uncovered++
        return UNCOUNTED
      case 'memory-only': {
        const held = bucket.bucket.held(now)
        if (!bucket.bucket.takeUncovered(now, cost)) return this.#deny(bucket, outOfTokens(bucket, now, cost))
        this.#counters.uncovered++
        bucket.owed += Math.max(0, cost - held)
        this.#spent(bucket, now, cost)
        return ALLOWED
      }
    }
  }

  #spent(bucket: CachedBucket, now: number, cost: number): void {
    bucket.spent += cost
    this.#markDirty(bucket)
    const isLow = bucket.spent > bucket.refillAt || now > bucket.refillAfterMs
    if (isLow && !bucket.isContended && !this.courier.isFailing) this.courier.ask(bucket)
  }

  #markDirty(bucket: CachedBucket): void {
    if (bucket.isDirty) return
    bucket.isDirty = true
    this.#dirty.push(bucket)
  }

  /** Denies by what was known of others at the last grant, and asks anew when that is long ago: they may give back. */
  #denyFor(bucket: CachedBucket, now: number, verdict: LimitDenied): LimitDenied {
    if (now - bucket.grantedAtMs >= OLD_NEWS_MS) this.courier.askLater(bucket)
    return this.#deny(bucket, verdict)
  }

  #deny(bucket: CachedBucket, verdict: LimitDenied): LimitDenied {
    const { counts } = bucket.scope
    bucket.denials++
    if (verdict.shadow) {
      this.#counters.shadow++
      counts.shadow++
    } else {
      this.#counters.rateLimited++
      counts.enforced++
    }
    return verdict
  }

  #compose(bucket: CachedBucket, nowMs: number): LeaseAsk {
    const isResting = bucket.isResting && !bucket.isDirty
    bucket.isResting = false
    if (this.#isBooking(nowMs)) return askForReturn(bucket, nowMs)
    if ((bucket.isCached && !isResting) || bucket.hasWaiters) return askForUse(bucket, nowMs)
    return askForReturn(bucket, nowMs)
  }

  #granted(bucket: CachedBucket, grant: LeaseGrant): void {
    bucket.bucket.grant(grant)
    bucket.seq = grant.seq
    const isNewlyContended = grant.isContended && !bucket.isContended
    bucket.isContended = grant.isContended
    const now = this.#clock.now()
    bucket.grantedAtMs = now
    const held = bucket.bucket.held(now)
    bucket.refillAt = bucket.spent + Math.max(1, held / 2)
    bucket.refillAfterMs = now + bucket.bucket.heldForMs(now) / 2
    if (bucket.hasWaiters) this.#serveWaiters(bucket, now)
    if (bucket.isCached) {
      if (isNewlyContended) this.courier.askLater(bucket)
      return
    }
    /* Granted after the bucket left the memory: nobody will spend it. */
    if (bucket.bucket.held(now) > 0 || bucket.owes) this.courier.askLater(bucket)
    else if (!bucket.hasWaiters) this.#leaving.delete(bucket)
  }

  #serveWaiters(bucket: CachedBucket, now: number): void {
    const waiters = bucket.takeWaiters()
    for (const waiter of waiters) {
      const ban = this.#bans.find(waiter.agent)
      if (ban !== undefined) {
        this.#counters.banned++
        waiter.resolve(banned(ban))
        continue
      }
      const outcome = bucket.bucket.take(now, waiter.cost)
      if (outcome === 'taken') {
        this.#spent(bucket, now, waiter.cost)
        waiter.resolve(ALLOWED)
        continue
      }
      const waitMs = outcome === 'empty' ? 0 : bucket.bucket.coverableInMs(now, waiter.cost)
      if (outcome === 'uncovered' && waitMs === 0 && now < waiter.untilMs) bucket.wait(waiter)
      else waiter.resolve(this.#deny(bucket, outOfTokens(bucket, now, waiter.cost, waitMs)))
    }
    if (bucket.hasWaiters) this.courier.ask(bucket)
  }

  #failed(bucket: CachedBucket, ask: LeaseAsk | undefined): void {
    if (ask !== undefined) bucket.owed += ask.owed
    const waiters = bucket.takeWaiters()
    const now = this.#clock.now()
    for (const waiter of waiters) {
      const ban = this.#bans.find(waiter.agent)
      waiter.resolve(ban === undefined ? this.#withoutStore(bucket, now, waiter.cost) : banned(ban))
    }
    if (bucket.isCached) return
    /* Used again before the store answers, it must not start full. */
    if (bucket.owes || bucket.bucket.debt(now) > 0) this.#giveBack(bucket)
    else this.#leaving.delete(bucket)
  }

  #evicted(bucket: CachedBucket): void {
    this.#counters.evictions++
    this.#giveBack(bucket)
  }

  #giveBack(bucket: CachedBucket): void {
    if (this.#leaving.add(bucket)) this.courier.askLater(bucket)
  }
}

/** Key in the store. */
export function bucketKey({ agent, rule }: LimitScope, part: string): string {
  return `${agent}\n${rule.name}\n${part}`
}
