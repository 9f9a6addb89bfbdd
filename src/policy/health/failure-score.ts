/**
 * Good replies every connection is credited with. They make little evidence say little: one failure on a fresh
 * connection costs a sixth of the score, not all of it.
 */
const PRIOR = 5
/** Decay is applied in steps of half-life / 64; finer steps would cost a power function per event. */
const STEPS_PER_HALF_LIFE = 64
/** Remains of failures too small to matter are forgotten, so an untroubled score is exactly 1. */
const NEGLIGIBLE = 0.01

/**
 * Share of good outcomes among recent ones, 0 to 1. Both counts lose half their value every half-life, so the
 * score returns to 1 when the failures stop, with or without traffic.
 */
export class FailureScore {
  readonly #halfLifeMs: number
  #good = 0
  #bad = 0
  #decayedAt: number

  constructor(halfLifeMs: number, now: number) {
    this.#halfLifeMs = halfLifeMs
    this.#decayedAt = now
  }

  value(now: number): number {
    if (this.#bad === 0) return 1
    this.#decay(now)
    return (this.#good + PRIOR) / (this.#good + this.#bad + PRIOR)
  }

  /** Whether so little evidence is left that a new score would say the same, now and after the next outcome. */
  isBlank(now: number): boolean {
    this.#decay(now)
    return this.#bad === 0 && this.#good < NEGLIGIBLE
  }

  countGood(now: number): void {
    this.#decay(now)
    this.#good++
  }

  countBad(now: number): void {
    this.#decay(now)
    this.#bad++
  }

  /** Forgets the evidence and starts over at `score` (above 0, at most 1). */
  startAt(score: number, now: number): void {
    this.#good = 0
    this.#bad = PRIOR / score - PRIOR
    this.#decayedAt = now
  }

  #decay(now: number): void {
    const elapsed = now - this.#decayedAt
    if (elapsed * STEPS_PER_HALF_LIFE < this.#halfLifeMs) return
    const kept = 0.5 ** (elapsed / this.#halfLifeMs)
    this.#good *= kept
    this.#bad *= kept
    if (this.#bad < NEGLIGIBLE) this.#bad = 0
    this.#decayedAt = now
  }
}
