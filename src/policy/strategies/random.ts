import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'
import { WeightedSampler } from './weighted-sampler.ts'

/** Any available candidate, with probability proportional to its weight. */
export const random: Strategy = {
  name: 'random',
  weighs: 'turns',
  build: (candidates, chance) => new RandomPicker(candidates, chance),
}

class RandomPicker implements Picker {
  readonly #sampler: WeightedSampler

  constructor(candidates: readonly Candidate[], chance: Random) {
    this.#sampler = new WeightedSampler(candidates, chance, false)
  }

  pick(context: PickContext): number {
    return this.#sampler.draw(context.avoid)
  }
}
