import type { CachedBucket } from './cached-bucket.ts'

/** Buckets that may wait to be given back: beyond it their tokens lapse, which is on the safe side. */
const MOST_LEAVING = 100_000
/** Of those that owe the store something, which must not be forgotten: some hundred bytes each. */
const MOST_OWING = 1_000_000

/**
 * Out of memory's reach, not settled with the store yet. A bucket that is used again meanwhile just returns; one whose
 * limit changed hands what was spent on to its successor.
 */
export class LeavingBuckets {
  readonly #byKey = new Map<string, CachedBucket>()
  /** What they spent is known to the bucket that took their place as well. */
  readonly #succeeded = new Set<CachedBucket>()

  get(key: string): CachedBucket | undefined {
    return this.#byKey.get(key)
  }

  /** False: there are too many, and nothing is lost but tokens nobody used. */
  add(bucket: CachedBucket): boolean {
    if (this.#succeeded.has(bucket)) return true
    const size = this.#byKey.size + this.#succeeded.size
    if (size >= (bucket.owes ? MOST_OWING : MOST_LEAVING)) return false
    this.#byKey.set(bucket.key, bucket)
    return true
  }

  /** Another bucket took its place and knows what it spent. */
  succeed(bucket: CachedBucket): void {
    this.#byKey.delete(bucket.key)
    this.#succeeded.add(bucket)
  }

  delete(bucket: CachedBucket): void {
    this.#succeeded.delete(bucket)
    if (this.#byKey.get(bucket.key) === bucket) this.#byKey.delete(bucket.key)
  }

  /** Those that were not sent yet will be, and book what they know as they leave. */
  rebook(): void {
    for (const bucket of this.#byKey.values()) bucket.rebook()
    for (const bucket of this.#succeeded) {
      bucket.rebook()
      /* Its successor books it. */
      bucket.isUnbooked = false
      bucket.owed = 0
    }
  }
}
