import type { Random } from '../../core/random.ts'
import type { Candidate, PickContext, Picker, Strategy } from '../picker.ts'
import { HashRing } from './hash-ring.ts'
import { hashPair, hashText } from './key-hash.ts'
import { leastInFlight } from './least-in-flight.ts'
import { LoadSample } from './load-sample.ts'

/**
 * Events with the same key go to the same connection. Keys without one: least in flight.
 *
 * A key walks the ring to the first candidate that is available, is not loaded above its share (consistent
 * hashing with bounded loads: 1.25 x the average per unit of weight) and keeps the key: a candidate whose weight
 * is the fraction w of the highest one keeps the fraction w of its keys, always the same ones. So a degraded or
 * fresh connection gets less without shuffling the rest.
 */
export const ringHash: Strategy = {
  name: 'ring-hash',
  weighs: 'turns',
  build: (candidates, random) => new RingHashPicker(candidates, random),
}

/** The c of bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016): a quarter above the average is tolerated. */
const LOAD_BOUND = 1.25
/** Points tried before the walk gives way to a scan: nearly all candidates are unavailable or full then. */
const LONGEST_WALK = 64
const HASH_RANGE = 2 ** 32

class RingHashPicker implements Picker {
  readonly #candidates: readonly Candidate[]
  readonly #ring: HashRing
  readonly #load: LoadSample
  readonly #keyless: Picker

  constructor(candidates: readonly Candidate[], random: Random) {
    this.#candidates = candidates
    this.#ring = new HashRing(candidates.map((candidate) => candidate.id))
    this.#load = new LoadSample(candidates)
    this.#keyless = leastInFlight.build(candidates, random)
  }

  pick(context: PickContext): number {
    const { hashKey, avoid } = context
    if (hashKey === undefined) return this.#keyless.pick(context)
    const candidates = this.#candidates
    const ring = this.#ring
    if (ring.size === 0) return -1
    const load = this.#load
    load.refresh()
    const perWeight = load.totalWeight > 0 ? (LOAD_BOUND * (load.totalInFlight + 1)) / load.totalWeight : 0
    const keep = load.peakWeight > 0 ? HASH_RANGE / load.peakWeight : 0
    const key = hashText(hashKey)
    let slot = ring.slotAt(key)
    for (let left = Math.min(LONGEST_WALK, ring.size); left > 0; left--, slot = ring.after(slot)) {
      const index = ring.ownerOf(slot)
      const candidate = candidates[index]!
      if (candidate.id === avoid || !candidate.isAvailable) continue
      const { weight } = candidate
      if (!(weight > 0) || candidate.inFlight >= Math.ceil(perWeight * weight)) continue
      if (hashPair(key, candidate.id) < weight * keep) return index
    }
    return this.#highestRanked(key, avoid)
  }

  /**
   * Without regard to load: the candidate that ranks highest for this key (rendezvous hashing), which is as
   * stable as the ring. A weightless one only when no other is available, the avoided one only when alone.
   */
  #highestRanked(key: number, avoid: number): number {
    const candidates = this.#candidates
    let chosen = -1
    let highest = -1
    for (let index = 0; index < candidates.length; index++) {
      const candidate = candidates[index]!
      if (!candidate.isAvailable) continue
      let rank = hashPair(key, candidate.id)
      if (candidate.id === avoid) rank = 0
      else if (candidate.weight > 0) rank += 1 + HASH_RANGE
      else rank += 1
      if (rank <= highest) continue
      highest = rank
      chosen = index
    }
    return chosen
  }
}
