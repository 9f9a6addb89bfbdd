import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'

/**
 * Candidates compared per pick: all of them in a pool of up to this many, the next eligible ones after the last
 * choice in a larger one. The best of a few is within an event or two of the true minimum (the load gap of
 * "best of d choices" grows with log log n / log d), and the cost stays flat.
 */
const COMPARED = 8

/**
 * Fewest events in flight per unit of weight. The comparison starts after the last choice, so equals take turns;
 * ties of unequal weight, all of an idle pool among them, are drawn by weight.
 */
export const leastInFlight: Strategy = {
  name: 'least-in-flight',
  weighs: 'load',
  build: (candidates, random) => new LeastInFlightPicker(candidates, random),
}

class LeastInFlightPicker implements Picker {
  readonly #candidates: readonly Candidate[]
  readonly #random: Random
  /** Index of the next visit: one after the last choice. */
  #cursor: number

  constructor(candidates: readonly Candidate[], random: Random) {
    this.#candidates = candidates
    this.#random = random
    this.#cursor = Math.floor(random() * candidates.length)
  }

  pick(context: PickContext): number {
    const candidates = this.#candidates
    const count = candidates.length
    let index = this.#cursor
    let compared = 0
    let chosen = -1
    let lowest = 0
    let chosenWeight = 0
    let tiedWeight = 0
    let weightless = -1
    let weightlessSeen = 0
    let avoided = -1
    for (let visits = 0; visits < count && compared < COMPARED; visits++) {
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
        weightlessSeen++
        if (this.#random() * weightlessSeen < 1) weightless = here
        continue
      }
      compared++
      const load = candidate.inFlight / weight
      if (chosen < 0 || load < lowest) {
        chosen = here
        lowest = load
        chosenWeight = weight
        tiedWeight = weight
      } else if (load === lowest) {
        tiedWeight += weight
        if (weight !== chosenWeight && this.#random() * tiedWeight < weight) {
          chosen = here
          chosenWeight = weight
        }
      }
    }
    if (chosen < 0) chosen = weightless >= 0 ? weightless : avoided
    if (chosen >= 0) this.#cursor = chosen + 1 === count ? 0 : chosen + 1
    return chosen
  }
}
