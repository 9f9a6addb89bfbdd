import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { CachedBucket, LimitScope } from './cached-bucket.ts'
import { bucketKey } from './leased-buckets.ts'
import { keyOf, type LimitRule } from './limit-rule.ts'
import type { LimitScopes } from './limit-scopes.ts'
import type { BucketFacts, LimitStore } from './limit-store.ts'

/** How one bucket stands. */
export interface BucketStanding {
  readonly rule: LimitRule
  /** What the limit counts apart: a client's network, a header's value, ...; empty for the agent itself. */
  readonly key: string
  /** Whole tokens. */
  readonly remaining: number
  /** Milliseconds until full; undefined: never. */
  readonly resetMs: number | undefined
  /** Denied, or counted in shadow mode, since the bucket is in memory. */
  readonly denials: number
  /** `full`: neither memory nor store know it. */
  readonly from: 'memory' | 'store' | 'full'
}

/** How one limit of an agent stands. */
export interface LimitStanding {
  readonly rule: LimitRule
  /** Of a limit on the agent itself, which has one bucket; undefined also while the store that knows is out of reach. */
  readonly bucket: BucketStanding | undefined
  /** Buckets in memory. */
  readonly keys: number
  readonly denials: number
  readonly shadowDenials: number
}

export interface TopKeys {
  readonly keys: readonly BucketStanding[]
  /** False: there were more buckets than one look may read. */
  readonly isComplete: boolean
}

/** Buckets in memory looked at in one turn of the event loop: about a millisecond. */
const TURN = 2000
/** Agents whose buckets are read from the store together, and in one turn: the traffic's own questions come in between. */
const AGENTS_AT_ONCE = 200
/** Buckets in memory, and steps through the store, of one look: an operator's question must end. */
const MOST_IN_MEMORY = 1_000_000
const MOST_STEPS = 100

/**
 * Looks at buckets for operators: memory first, then the store. Takes nothing, brings nothing into memory, touches no
 * order of use, and leaves the event loop to the traffic between its steps.
 */
export class LimitInspection {
  readonly #scopes: LimitScopes
  readonly #store: LimitStore
  readonly #clock: Clock

  constructor(scopes: LimitScopes, store: LimitStore, clock: Clock) {
    this.#scopes = scopes
    this.#store = store
    this.#clock = clock
  }

  /** Every limit of an agent. With the store out of reach (STORAGE), what memory knows. */
  async limits(agent: string): Promise<readonly LimitStanding[]> {
    const scopes = this.#scopes.of(agent)
    const own = scopes.filter(({ rule }) => rule.key.by === 'agent')
    const buckets = await this.#stand(own.map((scope) => ({ scope, key: '' }))).catch((error: unknown) => {
      if (!(error instanceof WeirError && error.code === 'STORAGE')) throw error
      return own.map((scope) => this.#held(scope))
    })
    return scopes.map((scope) => ({
      rule: scope.rule,
      bucket: buckets[own.indexOf(scope)],
      keys: scope.buckets.size,
      denials: scope.counts.enforced,
      shadowDenials: scope.counts.shadow,
    }))
  }

  /** As {@link limits} for many agents, in their order, some hundred per turn of the event loop. */
  async *limitsOfAll(
    agents: readonly string[],
  ): AsyncGenerator<readonly [agent: string, limits: readonly LimitStanding[]]> {
    for (let start = 0; start < agents.length; start += AGENTS_AT_ONCE) {
      /* What memory knows is answered without a turn of the loop. */
      if (start > 0) await nextTurn()
      const some = agents.slice(start, start + AGENTS_AT_ONCE)
      const standings = await Promise.all(some.map((agent) => this.limits(agent)))
      for (const [index, agent] of some.entries()) yield [agent, standings[index]!]
    }
  }

  /** The buckets of one key, one per limit that has keys. @throws WeirError STORAGE, INVALID_ARGUMENT when none has */
  async key(agent: string, text: string): Promise<readonly BucketStanding[]> {
    const facts = { clientIp: text, sessionKey: text, header: () => text }
    const request = { agentName: agent, facts, routeName: text, payloadBytes: 0 }
    return this.#stand(this.#keyed(agent).map((scope) => ({ scope, key: keyOf(scope.rule.key, request) })))
  }

  /** The buckets in memory that denied most. @throws WeirError INVALID_ARGUMENT when no limit has keys */
  async mostDenied(agent: string, most: number): Promise<TopKeys> {
    const top: BucketStanding[] = []
    const isComplete = await this.#walk(agent, (bucket) => {
      if (bucket.denials > 0) top.push(this.#inMemory(bucket))
      if (top.length > 4 * most) cut(top, most, byDenials)
    })
    cut(top, most, byDenials)
    return { keys: top, isComplete }
  }

  /** The buckets with the smallest share left, in memory or not. Rejects with STORAGE, and as `key` does. */
  async lowest(agent: string, most: number): Promise<TopKeys> {
    const top = new Map<string, BucketStanding>()
    const isComplete = await this.#walk(agent, (bucket) => {
      const standing = this.#inMemory(bucket)
      if (standing.remaining < standing.rule.burst) top.set(bucket.key, standing)
      if (top.size > 4 * most) keepLowest(top, most)
    })
    let isStoreComplete = true
    for (const scope of this.#keyed(agent)) {
      const prefix = bucketKey(scope, '')
      let after: string | undefined = ''
      for (let step = 0; after !== undefined && step < MOST_STEPS; step++) {
        const { lowest, next } = await this.#store.lookAfter(prefix, after, most, this.#clock.now())
        for (const facts of lowest) {
          const key = facts.key.slice(prefix.length)
          /* Memory knows better what of the tokens that it was lent is spent. */
          if (scope.buckets.has(key) || facts.debt === 0) continue
          top.set(facts.key, inStore(scope, key, facts))
        }
        keepLowest(top, most)
        after = next
      }
      isStoreComplete &&= after === undefined
    }
    keepLowest(top, most)
    return { keys: [...top.values()], isComplete: isComplete && isStoreComplete }
  }

  #keyed(agent: string): readonly LimitScope[] {
    const scopes = this.#scopes.of(agent).filter(({ rule }) => rule.key.by !== 'agent')
    if (scopes.length > 0) return scopes
    throw new WeirError(
      'INVALID_ARGUMENT',
      `agent ${agent}: no limit of it counts keys apart; set key: client-ip, session, route or header:NAME`,
    )
  }

  async #stand(
    wanted: readonly { readonly scope: LimitScope; readonly key: string }[],
  ): Promise<readonly BucketStanding[]> {
    const unknown: string[] = []
    const held = wanted.map(({ scope, key }) => {
      const bucket = scope.buckets.get(key)
      /* Until its first grant a bucket in memory does not know what was spent before. */
      if (bucket === undefined || bucket.seq === 0) unknown.push(bucketKey(scope, key))
      return bucket
    })
    const now = this.#clock.now()
    const stored = unknown.length === 0 ? [] : await this.#store.look(unknown, now)
    const facts = new Map(unknown.map((key, index) => [key, stored[index]]))
    return wanted.map(({ scope, key }, index) => {
      const bucket = held[index]
      const inFile = facts.get(bucketKey(scope, key))
      if (inFile !== undefined) return { ...inStore(scope, key, inFile), denials: bucket?.denials ?? 0 }
      if (bucket !== undefined) return this.#inMemory(bucket)
      return { rule: scope.rule, key, remaining: scope.rule.burst, resetMs: 0, denials: 0, from: 'full' }
    })
  }

  #held(scope: LimitScope): BucketStanding | undefined {
    const bucket = scope.buckets.get('')
    return bucket && this.#inMemory(bucket)
  }

  #inMemory(bucket: CachedBucket): BucketStanding {
    const now = this.#clock.now()
    const { denials } = bucket
    const remaining = whole(bucket.bucket.remaining(now))
    return {
      rule: bucket.scope.rule,
      key: bucket.part,
      remaining,
      resetMs: bucket.bucket.resetMs(now),
      denials,
      from: 'memory',
    }
  }

  /** Visits the buckets of an agent that are in memory, a short stretch per turn. False: not all of them. */
  async #walk(agent: string, visit: (bucket: CachedBucket) => void): Promise<boolean> {
    let seen = 0
    for (const scope of this.#keyed(agent)) {
      for (const bucket of scope.buckets.values()) {
        if (seen === MOST_IN_MEMORY) return false
        if (++seen % TURN === 0) await nextTurn()
        visit(bucket)
      }
    }
    return true
  }
}

/** Under the limit as it is now: the row may be of the one before a reload. */
function inStore(scope: LimitScope, key: string, facts: BucketFacts): BucketStanding {
  const { rule } = scope
  const { burst, ratePerSecond } = rule
  const isOfNow = facts.burst === burst
  const debt = isOfNow ? burst - facts.remaining : Math.min(burst, facts.debt)
  const resetMs = debt === 0 ? 0 : ratePerSecond === 0 ? undefined : (debt / ratePerSecond) * 1000
  return { rule, key, remaining: whole(burst - debt), resetMs, denials: 0, from: 'store' }
}

function whole(tokens: number): number {
  return Math.floor(tokens + 1e-6)
}

function byDenials(one: BucketStanding, other: BucketStanding): number {
  return other.denials - one.denials
}

/** Limits of one agent have different bursts: what is left is compared as a share. */
function byShare(one: BucketStanding, other: BucketStanding): number {
  return one.remaining / one.rule.burst - other.remaining / other.rule.burst
}

function cut(top: BucketStanding[], most: number, order: typeof byShare): void {
  top.sort(order).splice(most)
}

function keepLowest(top: Map<string, BucketStanding>, most: number): void {
  const kept = [...top].sort(([, one], [, other]) => byShare(one, other)).slice(0, most)
  top.clear()
  for (const [key, standing] of kept) top.set(key, standing)
}
