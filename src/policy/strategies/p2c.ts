import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'
import { WeightedSampler } from './weighted-sampler.ts'

/**
 * Two different random candidates, the one with the lower cost wins: recent peak latency x (in flight + 1).
 *
 * The first is drawn by weight; the second takes part with probability `its weight / the first one's`. Of two
 * equals each candidate then gets exactly its weight's share, even in a pool of two, where both would always be
 * compared. Ties keep the first draw, which is random.
 */
export const p2c: Strategy = {
  name: 'p2c',
  weighs: 'turns',
  build: (candidates, random) => new P2cPicker(candidates, random),
}

/** Throws for a second candidate that is neither the first nor unavailable; then the first stands alone. */
const THROWS = 4

class P2cPicker implements Picker {
  readonly #candidates: readonly Candidate[]
  readonly #random: Random
  readonly #sampler: WeightedSampler

  constructor(candidates: readonly Candidate[], random: Random) {
    this.#candidates = candidates
    this.#random = random
    this.#sampler = new WeightedSampler(candidates, random, false)
  }

  pick(context: PickContext): number {
    const first = this.#sampler.draw(context.avoid)
    if (first < 0) return first
    const second = this.#another(first, context.avoid)
    if (second < 0) return first
    return isCheaper(this.#candidates[second]!, this.#candidates[first]!) ? second : first
  }

  #another(first: number, avoid: number): number {
    const candidates = this.#candidates
    const others = candidates.length - 1
    for (let left = THROWS; left > 0 && others > 0; left--) {
      const throwAt = Math.floor(this.#random() * others)
      const index = throwAt >= first ? throwAt + 1 : throwAt
      const candidate = candidates[index]!
      if (candidate.id === avoid || !candidate.isAvailable) continue
      const lead = candidates[first]!.weight
      const { weight } = candidate
      /* Written so that a weight of 0 never takes part beside a positive one. */
      return weight >= lead || this.#random() * lead < weight ? index : -1
    }
    return -1
  }
}

/**
 * A candidate that has not answered yet has no latency; it is taken to be as fast as the other one. Taken to be
 * instant it would draw every event until its first reply.
 */
function isCheaper(one: Candidate, other: Candidate): boolean {
  const oneQueue = one.inFlight + 1
  const otherQueue = other.inFlight + 1
  const oneMs = one.latencyMs
  const otherMs = other.latencyMs
  if (!(oneMs > 0) || !(otherMs > 0)) return oneQueue < otherQueue
  return oneMs * oneQueue < otherMs * otherQueue
}
