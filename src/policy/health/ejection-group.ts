/**
 * Whether one more of `total` members may be ejected when `ejected` already are: at most `maxShare` (0 to 1) of
 * them may be out at once, because when nearly all look bad the fault is more likely elsewhere, and the rest
 * would drown in their traffic.
 *
 * Consequence: with a share of 0.5 a lone connection is never ejected. Nothing would be won, its traffic has no
 * other place to go; the breaker answers for an agent that fails as a whole, and the keeper replaces dead links.
 */
export function ejectionAllowed(ejected: number, total: number, maxShare: number): boolean {
  /* A hair of tolerance, or 0.1 x 10 members could round below one. */
  return ejected + 1 <= total * maxShare + 1e-9
}

export const DEFAULT_MAX_EJECTED_SHARE = 0.5

/** Counts the connections of one agent and how many of them are ejected. Written by their `Health` only. */
export class EjectionGroup {
  /** Largest share that may be out at once, 0 to 1. */
  maxShare: number
  #members = 0
  #ejected = 0

  constructor(maxShare: number = DEFAULT_MAX_EJECTED_SHARE) {
    this.maxShare = maxShare
  }

  get members(): number {
    return this.#members
  }

  get ejected(): number {
    return this.#ejected
  }

  /** More members are out than may be, since others left. The ejected ones are let in again meanwhile. */
  get isOver(): boolean {
    return this.#ejected > 0 && !ejectionAllowed(this.#ejected - 1, this.#members, this.maxShare)
  }

  join(): void {
    this.#members++
  }

  leave(wasEjected: boolean): void {
    this.#members--
    if (wasEjected) this.#ejected--
  }

  /** Ejects one more when the share allows it. */
  tryEject(): boolean {
    if (!ejectionAllowed(this.#ejected, this.#members, this.maxShare)) return false
    this.#ejected++
    return true
  }

  reinstate(): void {
    this.#ejected--
  }
}
