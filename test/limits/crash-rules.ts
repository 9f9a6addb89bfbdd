import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { rule } from './support.ts'

/** Limits of the crash test: fast, with a burst that lasts, and slow. Three agents in a cache of two: evictions too. */
export const CRASH_RULES: Readonly<Record<string, LimitRule>> = {
  fast: rule(200, 50),
  deep: rule(50, 400),
  slow: rule(2, 5),
}

/** One admitted event: it was decided between the two instants (milliseconds). */
export interface Admission {
  readonly beforeMs: number
  readonly afterMs: number
}

/**
 * By how many tokens the worst of all windows passed `burst + rate x elapsed`; 0 or less: none did. Each window is
 * taken as long as it can have been.
 */
export function worstExcess(admissions: readonly Admission[], rate: number, burst: number): number {
  const events = [...admissions].sort((one, other) => one.afterMs - other.afterMs)
  const startMs = events.map((event) => event.beforeMs)
  for (let index = events.length - 2; index >= 0; index--)
    startMs[index] = Math.min(startMs[index]!, startMs[index + 1]!)
  let worst = Number.NEGATIVE_INFINITY
  let bestStart = Number.NEGATIVE_INFINITY
  for (let index = 0; index < events.length; index++) {
    bestStart = Math.max(bestStart, (rate / 1000) * startMs[index]! - index)
    worst = Math.max(worst, index + 1 - (rate / 1000) * events[index]!.afterMs + bestStart - burst)
  }
  return worst
}
