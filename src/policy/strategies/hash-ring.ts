import { hashPair } from './key-hash.ts'

/** Points of one candidate on the ring; 128 keep the shares of equals within about 10 % of each other. */
export const POINTS_PER_CANDIDATE = 128

/** Room for the candidate's index in the low bits of a packed point; the hash takes 32 of the 53 bits. */
const INDEX_ROOM = 2 ** 20

/**
 * A circle of 32-bit positions. A candidate's points depend on its id alone, so adding or removing one moves
 * only the keys next to its own points.
 */
export class HashRing {
  /** Positions, ascending. */
  readonly #positions: Uint32Array
  /** Candidate index of each position. */
  readonly #owners: Uint32Array

  /** `ids` in the order of the candidates, fewer than 2^20. */
  constructor(ids: readonly number[]) {
    const packed = new Float64Array(ids.length * POINTS_PER_CANDIDATE)
    let at = 0
    for (let index = 0; index < ids.length; index++) {
      for (let point = 0; point < POINTS_PER_CANDIDATE; point++) {
        packed[at++] = hashPair(ids[index]!, point) * INDEX_ROOM + index
      }
    }
    packed.sort()
    this.#positions = new Uint32Array(packed.length)
    this.#owners = new Uint32Array(packed.length)
    for (at = 0; at < packed.length; at++) {
      const position = Math.floor(packed[at]! / INDEX_ROOM)
      this.#positions[at] = position
      this.#owners[at] = packed[at]! - position * INDEX_ROOM
    }
  }

  /** Number of points. */
  get size(): number {
    return this.#positions.length
  }

  /** Slot of the first point at or after `position`, wrapping round. Meaningless on an empty ring. */
  slotAt(position: number): number {
    const positions = this.#positions
    let low = 0
    let high = positions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (positions[middle]! < position) low = middle + 1
      else high = middle
    }
    return low === positions.length ? 0 : low
  }

  /** The slot after `slot`, wrapping round. */
  after(slot: number): number {
    return slot + 1 === this.#positions.length ? 0 : slot + 1
  }

  /** Candidate index that owns the slot. */
  ownerOf(slot: number): number {
    return this.#owners[slot]!
  }
}
