import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import type { Gate, Outcome } from './gate.ts'

/** No load outlives this, whatever the scenario forgets. */
const MAX_MS = 15_000
const MAX_REQUESTS = 50_000
/** Milliseconds a client waits after a refusal, so that refusals at once do not eat up the bound. */
const AFTER_REFUSAL_MS = 10

export interface LoadOptions {
  /** Requests under way at once. */
  readonly concurrency: number
  /** Requests in all. Default: until {@link Load.stop}. */
  readonly total?: number
  /** See {@link Gate.ask}. */
  readonly chain?: string
  readonly mark?: string
}

/** Clients that ask again as soon as they were answered. */
export class Load {
  readonly outcomes: Outcome[] = []
  readonly done: Promise<readonly Outcome[]>
  #isStopped = false
  #started = 0

  constructor(gate: Gate, options: LoadOptions) {
    const clients = Array.from({ length: options.concurrency }, () => this.#client(gate, options))
    this.done = Promise.all(clients).then(() => this.outcomes)
  }

  /** No new requests; resolves when those under way are over. */
  stop(): Promise<readonly Outcome[]> {
    this.#isStopped = true
    return this.done
  }

  count(what: string): number {
    return countOf(this.outcomes, what)
  }

  async #client(gate: Gate, { total = MAX_REQUESTS, chain, mark }: LoadOptions): Promise<void> {
    const until = performance.now() + MAX_MS
    while (!this.#isStopped && this.#started < total) {
      if (performance.now() > until) throw new Error(`the load was not stopped within ${MAX_MS} ms`)
      this.#started++
      const outcome = await gate.ask(mark, chain)
      this.outcomes.push(outcome)
      if (outcome.what === 'allow') await nextTurn()
      else await sleep(AFTER_REFUSAL_MS)
    }
  }
}

export function countOf(outcomes: readonly Outcome[], what: string): number {
  return outcomes.filter((outcome) => outcome.what === what).length
}

/** How often each outcome came, for assertions on all of them at once. */
export function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { what } of outcomes) counts[what] = (counts[what] ?? 0) + 1
  return counts
}
