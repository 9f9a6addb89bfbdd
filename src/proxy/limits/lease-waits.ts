/** Slots double: under 1 ms, 2 ms, 4 ms, ... The last one takes everything from 16 s on. */
const SLOTS = 16
/** The share of an agent's calls that waited no longer than the figure says. */
const QUANTILE = 0.9
/** Leased calls of one interval, all agents together, below which waits say nothing about this process. */
const LEAST_CALLS = 10

/**
 * How long calls waited for a connection in one interval, of all agents. An agent that is slow makes its own calls wait,
 * and its own queue deals with that: of this process it says nothing while another agent's calls go straight through. So
 * the figure is that of the agent which waits least.
 */
export class LeaseWaits {
  #calls = 0
  readonly #agents = new Map<string, Uint32Array>()

  add(agent: string, waitMs: number): void {
    let slots = this.#agents.get(agent)
    if (slots === undefined) {
      slots = new Uint32Array(SLOTS)
      this.#agents.set(agent, slots)
    }
    this.#calls++
    slots[waitMs < 1 ? 0 : Math.min(SLOTS - 1, 32 - Math.clz32(waitMs))]!++
  }

  /** 90th percentile of the agent that waits least, milliseconds, rounded up to a power of two; then starts afresh. */
  take(): number {
    let least = this.#calls < LEAST_CALLS ? 0 : Number.POSITIVE_INFINITY
    for (const [agent, slots] of this.#agents) {
      const calls = slots.reduce((sum, count) => sum + count, 0)
      if (calls === 0) this.#agents.delete(agent)
      else least = Math.min(least, percentile(slots, calls))
      slots.fill(0)
    }
    this.#calls = 0
    return Number.isFinite(least) ? least : 0
  }
}

function percentile(slots: Uint32Array, calls: number): number {
  let slot = 0
  for (let seen = slots[0]!; slot < SLOTS - 1 && seen < QUANTILE * calls; seen += slots[slot]!) slot++
  return slot === 0 ? 0 : 2 ** slot
}
