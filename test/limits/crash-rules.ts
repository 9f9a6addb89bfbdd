import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { rule } from './support.ts'

/**
 * Limits of the crash test: fast, with a burst that lasts, slow, by the byte, and two at once. With those that never
 * refill more agents than the cache holds: evictions too.
 */
const RULES: Readonly<Record<string, readonly LimitRule[]>> = {
  fast: [rule(200, 50)],
  deep: [rule(50, 400)],
  wide: [rule(5, 200)],
  slow: [rule(2, 5)],
  bytes: [rule(2000, 20_000, { name: 'bytes', cost: 'byte' })],
  both: [rule(80, 30), rule(3000, 9000, { name: 'bytes', cost: 'byte' })],
}

/** Never refilled, and no event of it is taken back: what is out of it can be told to the token. */
export const ONCE: LimitRule = rule(0, 2000)

/** An agent of each round has the limit that never refills, and is used in the next round once more. */
export function onceIn(round: number): string {
  return `once-${round}`
}

export function crashRules(round: number): ReadonlyMap<string, readonly LimitRule[]> {
  return new Map([...Object.entries(RULES), [onceIn(round - 1), [ONCE]], [onceIn(round), [ONCE]]])
}

/** Callers of one process, and the largest event in bytes. */
export const CALLERS = 6
export const MOST_BYTES = 3000

/** The most that the end of one process may cost: what it holds ahead of its use, and the event of each caller. */
export function mostLost({ ratePerSecond, burst, cost }: LimitRule): number {
  const underWay = CALLERS * (cost === 'byte' ? MOST_BYTES : 1)
  return Math.max(burst / 4, ratePerSecond) + 1.8 * ratePerSecond + underWay
}

/** What one admitted event took: it was decided between the two instants (milliseconds). */
export interface Admission {
  readonly beforeMs: number
  readonly afterMs: number
  /** Default 1. */
  readonly tokens?: number
}

/**
 * By how many tokens the worst of all windows passed `burst + rate x elapsed`; 0 or less: none did. An event counts in
 * the windows in which it was decided for certain. Of all windows that end with one event the best start is known from
 * a tree over the starts, so that many thousand events take no longer than their sorting.
 */
export function worstExcess(admissions: readonly Admission[], rate: number, burst: number): number {
  const byStart = admissions.map((_, index) => index)
  byStart.sort((one, other) => admissions[one]!.beforeMs - admissions[other]!.beforeMs)
  const leaves = 2 ** Math.ceil(Math.log2(Math.max(1, admissions.length)))
  /** Tokens below a node, and the most that any start below it has: the tokens from there on, less what was refilled. */
  const tokens = new Float64Array(2 * leaves)
  const most = new Float64Array(2 * leaves).fill(Number.NEGATIVE_INFINITY)
  const placeOf = new Int32Array(admissions.length)
  for (let place = 0; place < byStart.length; place++) placeOf[byStart[place]!] = place
  const byEnd = admissions.map((_, index) => index)
  byEnd.sort((one, other) => admissions[one]!.afterMs - admissions[other]!.afterMs)
  let worst = Number.NEGATIVE_INFINITY
  for (const index of byEnd) {
    const { beforeMs, afterMs, tokens: cost = 1 } = admissions[index]!
    let node = leaves + placeOf[index]!
    tokens[node] = cost
    most[node] = cost + (rate / 1000) * beforeMs
    for (node >>= 1; node >= 1; node >>= 1) {
      const right = 2 * node + 1
      tokens[node] = tokens[right - 1]! + tokens[right]!
      most[node] = Math.max(most[right]!, most[right - 1]! + tokens[right]!)
    }
    worst = Math.max(worst, most[1]! - (rate / 1000) * afterMs - burst)
  }
  return worst
}

/** Tokens that went out at some instant. */
export interface Outgo {
  readonly atMs: number
  readonly tokens: number
}

/** Tokens that went out and are not refilled at `nowMs`, however much that is. */
export function debtOf(outgoes: readonly Outgo[], rate: number, nowMs: number): number {
  const events = [...outgoes].sort((one, other) => one.atMs - other.atMs)
  let debt = 0
  let atMs = events[0]?.atMs ?? nowMs
  for (const event of [...events, { atMs: nowMs, tokens: 0 }]) {
    debt = Math.max(0, debt - (rate / 1000) * (event.atMs - atMs)) + event.tokens
    atMs = event.atMs
  }
  return debt
}
