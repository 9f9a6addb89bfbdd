import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'
import { WeightedSampler } from './weighted-sampler.ts'

/**
 * Leans towards the healthiest: probability proportional to the square of the weight, so a connection whose
 * score fell to one half gets a quarter. The weight decays back to 1 with time and good replies, hence nobody is
 * shut out for old errors and nobody fresh is flooded.
 */
export const healthBased: Strategy = {
  name: 'health-based',
  weighs: 'turns',
  build: (candidates, random) => new HealthBasedPicker(candidates, random),
}

class HealthBasedPicker implements Picker {
  readonly #sampler: WeightedSampler

  constructor(candidates: readonly Candidate[], random: Random) {
    this.#sampler = new WeightedSampler(candidates, random, true)
  }

  pick(context: PickContext): number {
    return this.#sampler.draw(context.avoid)
  }
}
