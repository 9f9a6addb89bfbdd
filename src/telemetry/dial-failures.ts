import type { Clock } from '../core/clock.ts'

/** How long one reason of one agent is not told again, milliseconds. */
const QUIET_MS = 60_000
/** Reasons remembered per agent: one that names something new each time must not grow a table. */
const MOST_REASONS = 16

interface Told {
  readonly at: number
  /** Failures since then. */
  count: number
}

/**
 * Which failed dials are worth a line: every slot of a pool dials an agent that is away again and again, and says the
 * same each time.
 */
export class DialFailures {
  readonly #clock: Clock
  readonly #agents = new Map<string, Map<string, Told>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Failures that the line to write stands for; 0: write none. */
  heard(agent: string, reason: string): number {
    let reasons = this.#agents.get(agent)
    if (reasons === undefined) {
      reasons = new Map()
      this.#agents.set(agent, reasons)
    }
    const told = reasons.get(reason)
    const now = this.#clock.now()
    if (told !== undefined && now - told.at < QUIET_MS) {
      told.count++
      return 0
    }
    reasons.delete(reason)
    if (reasons.size >= MOST_REASONS) reasons.delete(reasons.keys().next().value!)
    reasons.set(reason, { at: now, count: 0 })
    return (told?.count ?? 0) + 1
  }

  /** The agent was reached: its next failure is news. */
  reached(agent: string): void {
    this.#agents.delete(agent)
  }
}
