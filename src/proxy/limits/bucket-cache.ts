import type { CachedBucket } from './cached-bucket.ts'

/**
 * Bounds the buckets in memory: the one used longest ago leaves first. A list through the buckets themselves,
 * so that use and eviction are a few pointer writes whatever the size.
 */
export class BucketCache {
  readonly #onEvicted: (bucket: CachedBucket) => void
  /** Buckets, >= 1. A smaller one takes effect with the next calls of `shrink`. */
  capacity: number
  #newest: CachedBucket | undefined
  #oldest: CachedBucket | undefined
  #size = 0

  /** `capacity` >= 1. `onEvicted` is called after the bucket left. */
  constructor(capacity: number, onEvicted: (bucket: CachedBucket) => void) {
    this.capacity = capacity
    this.#onEvicted = onEvicted
  }

  get size(): number {
    return this.#size
  }

  /** Lets go of at most `most` buckets over the capacity; true: there are more. */
  shrink(most: number): boolean {
    for (let left = most; left > 0 && this.#size > this.capacity; left--) this.#evictOldest()
    return this.#size > this.capacity
  }

  add(bucket: CachedBucket): void {
    bucket.isCached = true
    bucket.scope.buckets.set(bucket.part, bucket)
    this.#size++
    this.#link(bucket)
    /* Two, so that a cache that is over its capacity never grows. */
    this.shrink(2)
  }

  /** The bucket was used just now. */
  touch(bucket: CachedBucket): void {
    if (bucket === this.#newest) return
    this.#unlink(bucket)
    this.#link(bucket)
  }

  remove(bucket: CachedBucket): void {
    if (!bucket.isCached) return
    bucket.isCached = false
    bucket.scope.buckets.delete(bucket.part)
    this.#unlink(bucket)
    this.#size--
  }

  *[Symbol.iterator](): IterableIterator<CachedBucket> {
    for (let bucket = this.#oldest; bucket !== undefined; ) {
      const next = bucket.newer
      yield bucket
      bucket = next
    }
  }

  #evictOldest(): void {
    const bucket = this.#oldest!
    this.remove(bucket)
    this.#onEvicted(bucket)
  }

  #link(bucket: CachedBucket): void {
    bucket.newer = undefined
    bucket.older = this.#newest
    if (this.#newest !== undefined) this.#newest.newer = bucket
    else this.#oldest = bucket
    this.#newest = bucket
  }

  #unlink(bucket: CachedBucket): void {
    const { newer, older } = bucket
    if (newer !== undefined) newer.older = older
    else this.#newest = older
    if (older !== undefined) older.newer = newer
    else this.#oldest = newer
    bucket.newer = undefined
    bucket.older = undefined
  }
}
