import type { Random } from '../../core/random.ts'
import type { Candidate } from '../picker.ts'

/** Throws before a full scan. With every candidate available the first one nearly always lands. */
const THROWS = 8
/** Smaller positive weights count as this much, so that products and squares of them stay positive. */
const LEAST_WEIGHT = 1e-6

/**
 * Draws an available candidate with probability proportional to its share: the weight, or the weight squared
 * when `isSharp`. Throws darts (O(1) expected) and scans once when they miss too often; both ways have the same
 * distribution, so callers cannot tell which one answered.
 *
 * A candidate of weight 0 is drawn only when no other may be, the avoided one only when it is alone.
 */
export class WeightedSampler {
  readonly #candidates: readonly Candidate[]
  readonly #random: Random
  readonly #isSharp: boolean
  /**
   * Highest share met so far, lowered by each scan: a throw lands with probability share / ceiling. Without it
   * a pool whose members are all in slow start would scan on every draw.
   */
  #ceiling = 1

  constructor(candidates: readonly Candidate[], random: Random, isSharp: boolean) {
    this.#candidates = candidates
    this.#random = random
    this.#isSharp = isSharp
  }

  /** Index of the drawn candidate, -1 when none is available. `avoid` is a candidate id, 0: none. */
  draw(avoid: number): number {
    const candidates = this.#candidates
    const count = candidates.length
    for (let left = THROWS; left > 0 && count > 0; left--) {
      const index = Math.floor(this.#random() * count)
      const candidate = candidates[index]!
      if (candidate.id === avoid || !candidate.isAvailable) continue
      const share = this.#share(candidate)
      if (share > this.#ceiling) this.#ceiling = share
      if (share >= this.#ceiling || this.#random() * this.#ceiling < share) return index
    }
    return this.#scan(avoid)
  }

  /** One pass over all; each candidate met replaces the choice with probability share / sum so far. */
  #scan(avoid: number): number {
    const candidates = this.#candidates
    let chosen = -1
    let total = 0
    let highest = 0
    let weightless = -1
    let weightlessSeen = 0
    let avoided = -1
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index]!
      if (!candidate.isAvailable) continue
      if (candidate.id === avoid) {
        avoided = index
        continue
      }
      const share = this.#share(candidate)
      if (share > 0) {
        total += share
        if (share > highest) highest = share
        if (this.#random() * total < share) chosen = index
      } else {
        weightlessSeen++
        if (this.#random() * weightlessSeen < 1) weightless = index
      }
    }
    this.#ceiling = highest > 0 ? highest : 1
    if (chosen >= 0) return chosen
    return weightless >= 0 ? weightless : avoided
  }

  #share(candidate: Candidate): number {
    if (!(candidate.weight > 0)) return 0
    const weight = Math.max(candidate.weight, LEAST_WEIGHT)
    return this.#isSharp ? weight * weight : weight
  }
}
