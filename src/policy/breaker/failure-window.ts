const BUCKETS = 10
/** The buckets before the first outcome. Nothing is ever written here. */
const NONE = new Float64Array(0)

/**
 * Successes and failures of the last `windowMs`, in ten buckets. O(1) per event, nothing allocated but the buckets
 * themselves, once: most agents of a large fleet never see an event.
 */
export class FailureWindow {
  readonly #bucketMs: number
  #successes = NONE
  #failures = NONE
  #successTotal = 0
  #failureTotal = 0
  /** Number of the newest bucket: floor(now / bucketMs). */
  #newest = 0

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  count(isFailure: boolean, now: number): void {
    if (this.#successes === NONE) this.#begin()
    this.#moveTo(now)
    const slot = this.#newest % BUCKETS
    if (isFailure) {
      this.#failures[slot]!++
      this.#failureTotal++
    } else {
      this.#successes[slot]!++
      this.#successTotal++
    }
  }

  /** Outcomes in the window. */
  volume(now: number): number {
    this.#moveTo(now)
    return this.#successTotal + this.#failureTotal
  }

  /** Failures / outcomes, 0 to 1; 0 without outcomes. */
  failureShare(now: number): number {
    const volume = this.volume(now)
    return volume === 0 ? 0 : this.#failureTotal / volume
  }

  clear(): void {
    this.#successes.fill(0)
    this.#failures.fill(0)
    this.#successTotal = 0
    this.#failureTotal = 0
  }

  #begin(): void {
    this.#successes = new Float64Array(BUCKETS)
    this.#failures = new Float64Array(BUCKETS)
  }

  #moveTo(now: number): void {
    if (this.#successes === NONE) return
    const target = Math.floor(now / this.#bucketMs)
    if (target <= this.#newest) return
    if (target - this.#newest >= BUCKETS) {
      this.clear()
    } else {
      for (let bucket = this.#newest + 1; bucket <= target; bucket++) {
        const slot = bucket % BUCKETS
        this.#successTotal -= this.#successes[slot]!
        this.#failureTotal -= this.#failures[slot]!
        this.#successes[slot] = 0
        this.#failures[slot] = 0
      }
    }
    this.#newest = target
  }
}
