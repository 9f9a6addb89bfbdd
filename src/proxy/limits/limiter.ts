import type { Clock, TimerHandle } from '../../core/clock.ts'
import type { Probe } from '../../core/probe.ts'
import { TokenBucket } from '../../policy/limits/token-bucket.ts'
import { BanBook } from './ban-book.ts'
import { BucketCache } from './bucket-cache.ts'
import { CachedBucket, type LimitScope, type Waiter } from './cached-bucket.ts'
import { LeaseCourier } from './lease-courier.ts'
import { askForReturn, askForUse } from './lease-terms.ts'
import { banned, outOfTokens, storeOutOfReach } from './limit-answers.ts'
import {
  ALLOWED,
  type LimitDenied,
  type LimitGate,
  type LimitRequest,
  type LimitVerdict,
} from './limit-gate.ts'
import { isSameRule, keyOf, type LimitRule, validateRule } from './limit-rule.ts'
import type { LeaseAsk, LeaseGrant, LimitStore } from './limit-store.ts'
import { LimiterCounters, type LimiterStats } from './limiter-stats.ts'

/** What a check answers when tokens are not covered and the store is out of reach. */
export type StoreFailurePolicy = 'deny' | 'allow' | 'memory-only'

export interface LimiterOptions {
  readonly store: LimitStore
  readonly clock: Clock
  readonly probe: Probe
  /** Buckets in memory, >= 1. Others are in the store. */
  readonly capacity: number
  readonly onStoreFailure: StoreFailurePolicy
  /** Longest that a check waits for the store. */
  readonly storeTimeoutMs: number
}

export interface LimitPlan {
  /** An agent without an entry gets the defaults; an empty list means no limit. */
  readonly agents: ReadonlyMap<string, readonly LimitRule[]>
  readonly defaults: readonly LimitRule[]
}

/** One limit as it stands, for headers and operators. */
export interface LimitView {
  readonly rule: string
  readonly limit: number
  readonly remaining: number
  /** Milliseconds until full; undefined: never. */
  readonly resetMs: number | undefined
  readonly ratePerSecond: number
}

const TICK_MS = 1000
const TICKS_PER_EXPIRY = 60

/**
 * Bans and token buckets of all agents, in two levels: a bounded cache that decides in the same turn, and a
 * store that hands tokens out before they are spent. See README.md for why no crash and no second process
 * can admit more than `burst + rate x elapsed`.
 */
export class Limiter implements LimitGate {
  readonly bans: BanBook
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #onStoreFailure: StoreFailurePolicy
  readonly #storeTimeoutMs: number
  readonly #cache: BucketCache
  readonly #courier: LeaseCourier
  readonly #counters = new LimiterCounters()
  /** Evicted, not given back yet: a bucket that is used again meanwhile just returns. */
  readonly #leaving = new Map<string, CachedBucket>()
  #agents = new Map<string, readonly LimitScope[]>()
  #defaults: readonly LimitScope[] = []
  #dirty: CachedBucket[] = []
  #ticks = 0
  #timer: TimerHandle | undefined
  #drained: Promise<void> | undefined

  constructor(options: LimiterOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#probe = options.probe
    this.#onStoreFailure = options.onStoreFailure
    this.#storeTimeoutMs = options.storeTimeoutMs
    this.bans = new BanBook(options.store, options.clock)
    this.#cache = new BucketCache(options.capacity, (bucket) => this.#evicted(bucket))
    this.#courier = new LeaseCourier({
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

  /** Loads the bans, then keeps checkpoints and bans going each second. Rejects with STORAGE. */
  async start(): Promise<void> {
    await this.bans.refresh()
    this.#schedule()
  }

  /**
   * Puts limits in force. A limit that stays as it was keeps its buckets; a changed one keeps what was spent,
   * by way of the store. Throws INVALID_ARGUMENT and then changes nothing.
   */
  configure(plan: LimitPlan): void {
    for (const [agent, rules] of plan.agents) for (const rule of rules) validateRule(agent, rule)
    for (const rule of plan.defaults) validateRule('(defaults)', rule)
    const old = [...this.#defaults, ...[...this.#agents.values()].flat()]
    const kept = new Set<LimitScope>()
    const scopeOf = (agent: string | undefined, rule: LimitRule): LimitScope => {
      const same = old.find((scope) => scope.agent === agent && isSameRule(scope.rule, rule))
      if (same !== undefined) kept.add(same)
      return same ?? { agent, rule, isPerByte: rule.cost === 'byte', buckets: new Map() }
    }
    this.#defaults = plan.defaults.map((rule) => scopeOf(undefined, rule))
    this.#agents = new Map(
      [...plan.agents].map(([agent, rules]) => [agent, rules.map((rule) => scopeOf(agent, rule))]),
    )
    for (const scope of old) {
      if (kept.has(scope)) continue
      for (const bucket of [...scope.buckets.values()]) {
        this.#cache.remove(bucket)
        /* Ahead of what the new limit will ask for. */
        this.#courier.ask(bucket)
      }
    }
  }

  check(request: LimitRequest): LimitVerdict | Promise<LimitVerdict> {
    if (this.bans.size !== 0) {
      const ban = this.bans.find(request.agent)
      if (ban !== undefined) {
        this.#counters.banned++
        return banned(ban)
      }
    }
    const scopes = this.#agents.get(request.agent) ?? this.#defaults
    if (scopes.length === 1) {
      const scope = scopes[0]!
      const cost = scope.isPerByte ? request.bytes : 1
      return cost > 0 ? this.#takeFrom(this.#bucketOf(scope, request), request.agent, cost) : ALLOWED
    }
    return this.#checkAll(request, scopes, 0, [], ALLOWED)
  }

  /** Gives back what a check took, when the event was not sent after all. */
  refund(request: LimitRequest): void {
    for (const scope of this.#agents.get(request.agent) ?? this.#defaults) {
      const cost = scope.isPerByte ? request.bytes : 1
      scope.buckets.get(this.#valueOf(scope, request))?.bucket.refund(cost)
    }
  }

  /** How the limits stand for such a request; takes nothing. A bucket not in memory counts as full. */
  peek(request: LimitRequest): readonly LimitView[] {
    const now = this.#clock.now()
    return (this.#agents.get(request.agent) ?? this.#defaults).map((scope) => {
      const { name, burst, ratePerSecond } = scope.rule
      const tokens = scope.buckets.get(this.#valueOf(scope, request))?.bucket
      const remaining = Math.floor((tokens?.remaining(now) ?? burst) + 1e-6)
      return { rule: name, limit: burst, remaining, resetMs: tokens?.resetMs(now) ?? 0, ratePerSecond }
    })
  }

  get stats(): LimiterStats {
    const counters = this.#counters
    const { checkpointAtMs } = counters
    return {
      size: this.#cache.size,
      capacity: this.#cache.capacity,
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
      bans: this.bans.list().length,
      checkpointAgeMs: checkpointAtMs === undefined ? undefined : this.#clock.now() - checkpointAtMs,
      store: {
        isFailing: this.#courier.isFailing,
        failures: this.#courier.failures,
        lastError: this.#courier.lastError,
        backlog: this.#courier.backlog,
        rows: counters.rows,
        expired: counters.expired,
      },
    }
  }

  /** Settles every bucket used since the last time with the store. Never rejects: see `stats.store`. */
  async checkpoint(): Promise<void> {
    const dirty = this.#dirty
    this.#dirty = []
    for (const bucket of dirty) {
      bucket.isDirty = false
      if (bucket.isCached) this.#courier.askLater(bucket)
    }
    await this.#courier.settled()
    if (!this.#courier.isFailing) this.#counters.checkpointAtMs = this.#clock.now()
  }

  /** Changes the number of buckets in memory; those over it leave at once. */
  resize(capacity: number): void {
    this.#cache.resize(capacity)
  }

  /** Stops, and gives every unused token back, so that a restart resumes exactly. Twice: the same promise. */
  drain(): Promise<void> {
    this.#drained ??= this.#giveAllBack()
    return this.#drained
  }

  async #giveAllBack(): Promise<void> {
    this.#timer?.cancel()
    /* What is on its way would be granted after the return. */
    await this.#courier.quiet()
    for (const bucket of [...this.#cache]) {
      this.#cache.remove(bucket)
      this.#giveBack(bucket)
    }
    await this.#courier.quiet()
  }

  /** Takes from each limit in order; the first that denies gets the others their tokens back. */
  #checkAll(
    request: LimitRequest,
    scopes: readonly LimitScope[],
    start: number,
    taken: CachedBucket[],
    sofar: LimitVerdict,
  ): LimitVerdict | Promise<LimitVerdict> {
    let verdict = sofar
    for (let index = start; index < scopes.length; index++) {
      const scope = scopes[index]!
      const cost = scope.isPerByte ? request.bytes : 1
      if (cost <= 0) continue
      const bucket = this.#bucketOf(scope, request)
      const answer = this.#takeFrom(bucket, request.agent, cost)
      if (answer instanceof Promise) {
        return answer.then((late) => {
          const next = this.#weigh(late, bucket, taken, request, verdict)
          return next.allowed || next.shadow ? this.#checkAll(request, scopes, index + 1, taken, next) : next
        })
      }
      verdict = this.#weigh(answer, bucket, taken, request, verdict)
      if (!verdict.allowed && !verdict.shadow) return verdict
    }
    return verdict
  }

  #weigh(
    answer: LimitVerdict,
    bucket: CachedBucket,
    taken: CachedBucket[],
    request: LimitRequest,
    sofar: LimitVerdict,
  ): LimitVerdict {
    if (answer.allowed) {
      taken.push(bucket)
      return sofar
    }
    if (answer.shadow) return answer
    for (const other of taken) other.bucket.refund(other.scope.isPerByte ? request.bytes : 1)
    return answer
  }

  #bucketOf(scope: LimitScope, request: LimitRequest): CachedBucket {
    const part = keyOf(scope.rule.key, request)
    const value = nameWithin(scope, request.agent, part)
    const found = scope.buckets.get(value)
    if (found !== undefined) {
      this.#counters.hits++
      this.#cache.touch(found)
      return found
    }
    this.#counters.misses++
    const key = `${request.agent}\n${scope.rule.name}\n${part}`
    const leaving = this.#leaving.get(key)
    const { ratePerSecond, burst } = scope.rule
    let bucket: CachedBucket
    if (leaving !== undefined && leaving.scope === scope) {
      this.#leaving.delete(key)
      bucket = leaving
    } else {
      bucket = new CachedBucket(
        scope,
        value,
        key,
        new TokenBucket(ratePerSecond, burst, this.#clock.now(), true),
      )
    }
    this.#cache.add(bucket)
    return bucket
  }

  #valueOf(scope: LimitScope, request: LimitRequest): string {
    return nameWithin(scope, request.agent, keyOf(scope.rule.key, request))
  }

  #takeFrom(bucket: CachedBucket, agent: string, cost: number): LimitVerdict | Promise<LimitVerdict> {
    const now = this.#clock.now()
    if (cost > bucket.bucket.burst) return this.#deny(outOfTokens(bucket, now, cost))
    if (bucket.waiters.length === 0) {
      const take = bucket.bucket.take(now, cost)
      if (take === 'taken') {
        this.#spent(bucket, cost)
        return ALLOWED
      }
      if (take === 'empty') return this.#deny(outOfTokens(bucket, now, cost))
    }
    return this.#cover(bucket, agent, now, cost)
  }

  /** The bucket has tokens, but they have to be got from the store first. */
  #cover(
    bucket: CachedBucket,
    agent: string,
    now: number,
    cost: number,
  ): LimitVerdict | Promise<LimitVerdict> {
    if (this.#courier.isFailing) return this.#withoutStore(bucket, now, cost)
    const waitMs = bucket.bucket.coverableInMs(now, cost)
    if (waitMs !== 0) return this.#deny(outOfTokens(bucket, now, cost, waitMs))
    this.#counters.waits++
    let verdict: LimitVerdict | undefined
    const waiter: Waiter = {
      agent,
      cost,
      untilMs: now + this.#storeTimeoutMs,
      resolve: (answer) => {
        verdict = answer
      },
    }
    bucket.waiters.push(waiter)
    this.#courier.ask(bucket)
    if (verdict !== undefined) return verdict
    return new Promise((resolve) => {
      waiter.resolve = resolve
    })
  }

  #withoutStore(bucket: CachedBucket, now: number, cost: number): LimitVerdict {
    switch (this.#onStoreFailure) {
      case 'deny':
        this.#counters.storeDenied++
        return storeOutOfReach(bucket, now)
      case 'allow':
        this.#counters.uncovered++
        return ALLOWED
      case 'memory-only': {
        const held = bucket.bucket.held(now)
        if (!bucket.bucket.takeUncovered(now, cost)) return this.#deny(outOfTokens(bucket, now, cost))
        this.#counters.uncovered++
        bucket.owed += Math.max(0, cost - held)
        this.#spent(bucket, cost)
        return ALLOWED
      }
    }
  }

  #spent(bucket: CachedBucket, cost: number): void {
    bucket.spent += cost
    if (!bucket.isDirty) {
      bucket.isDirty = true
      this.#dirty.push(bucket)
    }
    if (bucket.spent > bucket.refillAt && !bucket.isContended && !this.#courier.isFailing)
      this.#courier.ask(bucket)
  }

  #deny(verdict: LimitDenied): LimitDenied {
    if (verdict.shadow) this.#counters.shadow++
    else this.#counters.rateLimited++
    return verdict
  }

  #compose(bucket: CachedBucket, nowMs: number): LeaseAsk {
    if (bucket.isCached || bucket.waiters.length > 0) return askForUse(bucket, nowMs)
    if (this.#leaving.get(bucket.key) === bucket) this.#leaving.delete(bucket.key)
    return askForReturn(bucket, nowMs)
  }

  #granted(bucket: CachedBucket, grant: LeaseGrant): void {
    bucket.bucket.grant(grant)
    bucket.seq = grant.seq
    bucket.isContended = grant.isContended
    const now = this.#clock.now()
    const held = bucket.bucket.held(now)
    bucket.refillAt = bucket.spent + Math.max(1, held / 2)
    if (bucket.waiters.length > 0) this.#serveWaiters(bucket, now)
    /* Granted after the bucket left the memory: nobody will spend it. */
    if (!bucket.isCached && held > 0) this.#courier.askLater(bucket)
  }

  #serveWaiters(bucket: CachedBucket, now: number): void {
    const waiters = bucket.waiters
    bucket.waiters = []
    for (const waiter of waiters) {
      const ban = this.bans.find(waiter.agent)
      if (ban !== undefined) {
        this.#counters.banned++
        waiter.resolve(banned(ban))
        continue
      }
      const take = bucket.bucket.take(now, waiter.cost)
      if (take === 'taken') {
        this.#spent(bucket, waiter.cost)
        waiter.resolve(ALLOWED)
        continue
      }
      const waitMs = take === 'empty' ? 0 : bucket.bucket.coverableInMs(now, waiter.cost)
      if (take === 'uncovered' && waitMs === 0 && now < waiter.untilMs) bucket.waiters.push(waiter)
      else waiter.resolve(this.#deny(outOfTokens(bucket, now, waiter.cost, waitMs)))
    }
    if (bucket.waiters.length > 0) this.#courier.ask(bucket)
  }

  #failed(bucket: CachedBucket, ask: LeaseAsk | undefined): void {
    if (ask !== undefined) bucket.owed += ask.owed
    const waiters = bucket.waiters
    bucket.waiters = []
    const now = this.#clock.now()
    for (const waiter of waiters) {
      const ban = this.bans.find(waiter.agent)
      waiter.resolve(ban === undefined ? this.#withoutStore(bucket, now, waiter.cost) : banned(ban))
    }
  }

  #evicted(bucket: CachedBucket): void {
    this.#counters.evictions++
    this.#giveBack(bucket)
  }

  #giveBack(bucket: CachedBucket): void {
    this.#leaving.set(bucket.key, bucket)
    this.#courier.askLater(bucket)
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(TICK_MS, () => {
      this.#schedule()
      void this.#tick()
    })
  }

  async #tick(): Promise<void> {
    await this.#courier.tryAgain()
    const checkpoint = this.checkpoint()
    try {
      await this.bans.refresh()
      if (this.#ticks++ % TICKS_PER_EXPIRY === 0) {
        const facts = await this.#store.expireIdle(this.#clock.now())
        this.#counters.rows = facts.rows
        this.#counters.expired += facts.expired
      }
    } catch (error) {
      this.#probe.notice?.('warn', `bans and idle limits were not read: ${String(error)}`)
    }
    await checkpoint
  }
}

/** Key within the scope. Buckets of the default limits are apart by agent as well. */
function nameWithin(scope: LimitScope, agent: string, part: string): string {
  if (scope.agent !== undefined) return part
  return part === '' ? agent : `${agent}\n${part}`
}
