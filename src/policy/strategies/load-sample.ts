import type { Candidate } from '../picker.ts'

/** Candidates read per refresh; a pool of up to this many is read in full on every pick. */
const READ_PER_REFRESH = 8

/**
 * Totals over the available candidates without a scan per pick: each refresh reads the next few and corrects
 * the sums. Exact for small pools; at 256 candidates a reading is at most 32 picks old.
 */
export class LoadSample {
  readonly #candidates: readonly Candidate[]
  readonly #inFlight: Float64Array
  readonly #weight: Float64Array
  #cursor = 0
  #lapPeak = 0
  #totalInFlight = 0
  #peakWeight = 0
  #totalWeight = 0

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates
    this.#inFlight = new Float64Array(candidates.length)
    this.#weight = new Float64Array(candidates.length)
    for (let left = candidates.length; left > 0; left -= READ_PER_REFRESH) this.refresh()
  }

  /** Events in flight on available candidates. */
  get totalInFlight(): number {
    return this.#totalInFlight
  }

  /** Sum of the weights of available candidates. */
  get totalWeight(): number {
    return this.#totalWeight
  }

  /** Highest weight among available candidates, as of the last full lap. */
  get peakWeight(): number {
    return this.#peakWeight
  }

  refresh(): void {
    const candidates = this.#candidates
    const count = candidates.length
    for (let left = Math.min(READ_PER_REFRESH, count); left > 0; left--) {
      const index = this.#cursor
      const candidate = candidates[index]!
      const isOpen = candidate.isAvailable
      const inFlight = isOpen ? candidate.inFlight : 0
      const weight = isOpen && candidate.weight > 0 ? candidate.weight : 0
      this.#totalInFlight += inFlight - this.#inFlight[index]!
      this.#totalWeight += weight - this.#weight[index]!
      this.#inFlight[index] = inFlight
      this.#weight[index] = weight
      if (weight > this.#lapPeak) this.#lapPeak = weight
      this.#cursor = index + 1
      if (this.#cursor < count) continue
      this.#peakWeight = this.#lapPeak
      this.#lapPeak = 0
      this.#cursor = 0
    }
  }
}
