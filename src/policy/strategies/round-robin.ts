import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'

/**
 * Each available candidate once per lap. A candidate of weight w is passed over until its visits have added up
 * to a whole turn, so it gets w turns per lap. Deterministic after the random start.
 */
export const roundRobin: Strategy = {
  name: 'round-robin',
  weighs: 'turns',
  build: (candidates, random) => new RoundRobinPicker(candidates, random),
}

class RoundRobinPicker implements Picker {
  readonly #candidates: readonly Candidate[]
  /** Part of a turn each candidate has earned so far, by index. Below 1 between picks. */
  readonly #credit: Float64Array
  /** Index of the next visit. */
  #cursor: number

  constructor(candidates: readonly Candidate[], random: Random) {
    this.#candidates = candidates
    this.#credit = new Float64Array(candidates.length)
    /* Spread, so that equal low weights do not all come due in the same lap. */
    for (let index = 0; index < candidates.length; index++) this.#credit[index] = random()
    /* Many processes start at once; their first events should not meet on the same connection. */
    this.#cursor = Math.floor(random() * candidates.length)
  }

  pick(context: PickContext): number {
    const candidates = this.#candidates
    const credit = this.#credit
    const count = candidates.length
    let index = this.#cursor
    let richest = -1
    let earned = 0
    let weightless = -1
    let avoided = -1
    for (let visits = 0; visits < count; visits++) {
      const here = index
      index = here + 1 === count ? 0 : here + 1
      const candidate = candidates[here]!
      if (!candidate.isAvailable) continue
      if (candidate.id === context.avoid) {
        avoided = here
        continue
      }
      const { weight } = candidate
      if (!(weight > 0)) {
        if (weightless < 0) weightless = here
        continue
      }
      const sum = credit[here]! + Math.min(weight, 1)
      if (sum >= 1) {
        credit[here] = sum - 1
        this.#cursor = index
        return here
      }
      credit[here] = sum
      earned += weight
      if (richest < 0 || sum > credit[richest]!) richest = here
    }
    /*
     * A whole lap earned nobody a turn: the nearest gets it, at the price of what the lap has earned. Everybody
     * was visited once, so the cursor stays.
     */
    if (richest >= 0) {
      credit[richest] = credit[richest]! - Math.min(1, earned)
      return richest
    }
    const last = weightless >= 0 ? weightless : avoided
    if (last >= 0) this.#cursor = last + 1 === count ? 0 : last + 1
    return last
  }
}
