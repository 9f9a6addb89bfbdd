/** Milliseconds after which an old reading has lost 63 % of its say. */
const DEFAULT_DECAY_MS = 10_000
/** Decay is applied in steps of decay / 64: an error below 2 %, and most reads cost one subtraction. */
const STEPS_PER_DECAY = 64

/**
 * Moving average of latency that jumps to every peak at once and comes down slowly, so a connection that turned
 * slow is left alone at once and tried again later. The average also sinks while nothing is observed; otherwise
 * one slow reply could exile a connection that, for lack of traffic, never gets to prove itself.
 */
export class PeakEwma {
  readonly #decayMs: number
  #value = 0
  #updatedAt = 0

  constructor(decayMs: number = DEFAULT_DECAY_MS) {
    this.#decayMs = decayMs
  }

  /** Counts one latency, milliseconds >= 0. `now` is the clock's. */
  observe(latencyMs: number, now: number): void {
    if (!(latencyMs >= 0)) return
    const elapsed = now - this.#updatedAt
    if (this.#value === 0 || latencyMs >= this.#value) {
      this.#value = latencyMs
    } else {
      this.#value = latencyMs + (this.#value - latencyMs) * this.#kept(elapsed)
    }
    this.#updatedAt = now
  }

  /** Share of an old reading that is left. Of a young one its first term tells it: an error below 0.02 %. */
  #kept(elapsed: number): number {
    if (elapsed <= 0) return 1
    const decays = elapsed / this.#decayMs
    return decays * STEPS_PER_DECAY < 1 ? 1 - decays : Math.exp(-decays)
  }

  /** Milliseconds; 0 before the first observation. */
  value(now: number): number {
    const elapsed = now - this.#updatedAt
    if (elapsed * STEPS_PER_DECAY < this.#decayMs || this.#value === 0) return this.#value
    this.#value *= Math.exp(-elapsed / this.#decayMs)
    this.#updatedAt = now
    return this.#value
  }
}
