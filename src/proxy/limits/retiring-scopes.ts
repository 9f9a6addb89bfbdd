import type { CachedBucket, LimitScope } from './cached-bucket.ts'

/**
 * Limits that a reload took out of force and whose buckets are still in memory. One may have a million of them: they
 * leave some hundred per turn, or as soon as the limit that took the place is asked for the same key.
 */
export class RetiringScopes {
  readonly #byName = new Map<string, LimitScope[]>()
  /** The last one is being taken. */
  readonly #scopes: LimitScope[] = []
  /** Of it; one that goes on, because a new one would pass every hole that others left. */
  #buckets: IterableIterator<CachedBucket> | undefined

  add(scope: LimitScope): void {
    if (scope.buckets.size === 0) return
    const name = nameOf(scope)
    const others = this.#byName.get(name)
    if (others === undefined) this.#byName.set(name, [scope])
    else others.push(scope)
    this.#scopes.push(scope)
    this.#buckets = undefined
  }

  /** The bucket that a limit in the place of `scope` has in memory for this key (`CachedBucket.part`). */
  find(scope: LimitScope, part: string): CachedBucket | undefined {
    if (this.#byName.size === 0) return undefined
    for (const before of this.#byName.get(nameOf(scope)) ?? []) {
      const bucket = before.buckets.get(part)
      if (bucket !== undefined) return bucket
    }
    return undefined
  }

  /** The next of them, at most so many, each told once; none: all were told. */
  take(most: number): readonly CachedBucket[] {
    const taken: CachedBucket[] = []
    for (let scope = this.#scopes.at(-1); scope !== undefined && taken.length < most; ) {
      this.#buckets ??= scope.buckets.values()
      const next = this.#buckets.next()
      if (next.done !== true) {
        taken.push(next.value)
        continue
      }
      this.#buckets = undefined
      this.#scopes.pop()
      this.#drop(scope)
      scope = this.#scopes.at(-1)
    }
    return taken
  }

  #drop(scope: LimitScope): void {
    const name = nameOf(scope)
    const others = this.#byName.get(name)!.filter((other) => other !== scope)
    if (others.length === 0) this.#byName.delete(name)
    else this.#byName.set(name, others)
  }
}

function nameOf({ agent, rule }: LimitScope): string {
  return `${agent}\n${rule.name}`
}
