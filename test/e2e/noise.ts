import { mulberry } from '../wire/support/mulberry.ts'

/** Bytes to throw at a listener: random, yet the same ones for the same seed. */
export class Noise {
  readonly #random: () => number
  readonly #pool: Buffer

  constructor(seed: number) {
    this.#random = mulberry(seed)
    this.#pool = Buffer.from(Array.from({ length: 65_536 }, () => this.below(256)))
  }

  /** A whole number from 0 up to `end`, exclusive. */
  below(end: number): number {
    return Math.floor(this.#random() * end)
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!
  }

  /** Up to `most` bytes, at least one. Not to be changed. */
  bytes(most: number): Buffer {
    const from = this.below(this.#pool.length - most)
    return this.#pool.subarray(from, from + 1 + this.below(most))
  }

  /** Printable characters without a space, at least one. */
  word(most: number): string {
    return Buffer.from(this.bytes(most).map((byte) => 0x21 + (byte % 94))).toString('latin1')
  }

  /** A copy with up to four bytes changed, and now and then a piece lost or repeated. */
  damaged(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes)
    for (let left = 1 + this.below(4); left > 0; left--) copy[this.below(copy.length)] = this.below(256)
    const at = this.below(copy.length)
    const until = at + this.below(copy.length - at)
    switch (this.below(6)) {
      case 0:
        return copy.subarray(0, at + 1)
      case 1:
        return Buffer.concat([copy.subarray(0, at), copy.subarray(until)])
      case 2:
        return Buffer.concat([copy.subarray(0, until), copy.subarray(at)])
      default:
        return copy
    }
  }
}
