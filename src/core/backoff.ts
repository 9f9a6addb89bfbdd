import type { Random } from './random.ts'

export interface BackoffOptions {
  /** Milliseconds, > 0. Default 100. */
  readonly initialMs?: number
  /** Milliseconds, >= initialMs. Default 30,000. */
  readonly maxMs?: number
  /** Factor per failure, > 1. Default 2. */
  readonly factor?: number
}

/**
 * Exponential pauses with full jitter in the upper half: each pause lies in [ceiling / 2, ceiling), so many
 * peers that lost the same server spread out, yet none returns at once. Never gives up.
 */
export class Backoff {
  readonly #initialMs: number
  readonly #maxMs: number
  readonly #factor: number
  readonly #random: Random
  #exponent = 0

  constructor(random: Random, options: BackoffOptions = {}) {
    this.#initialMs = options.initialMs ?? 100
    this.#maxMs = options.maxMs ?? 30_000
    this.#factor = options.factor ?? 2
    this.#random = random
  }

  /** Counts one more failure and returns the pause before the next attempt, milliseconds. */
  next(): number {
    const ceiling = Math.min(this.#maxMs, this.#initialMs * this.#factor ** this.#exponent)
    if (ceiling < this.#maxMs) this.#exponent++
    return ceiling / 2 + (this.#random() * ceiling) / 2
  }

  reset(): void {
    this.#exponent = 0
  }
}
