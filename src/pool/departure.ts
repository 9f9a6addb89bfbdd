import type { LiveConnection } from './live-connection.ts'

/** A connection that its agent will end is not replaced earlier: its successor may lead to the same process. */
const MIN_STAY_MS = 5000

/** Age, use, an outdated configuration, its agent's drain or its server's goodbye say that it should be replaced. */
export function isDueToRetire(live: LiveConnection, now: number): boolean {
  const { retireAt, maxUses } = live.origin.terms
  if (live.isOutdated || now >= retireAt || live.uses >= maxUses) return true
  return isLeft(live, now) && now - live.openedAt >= MIN_STAY_MS
}

/** When it falls due by time alone, clock milliseconds. */
export function retirementAt(live: LiveConnection, now: number): number {
  const { slot, terms } = live.origin
  if (slot === undefined || !isLeft(live, now)) return terms.retireAt
  return Math.min(terms.retireAt, live.openedAt + MIN_STAY_MS)
}

/** The agent or its server is about to end it. */
function isLeft(live: LiveConnection, now: number): boolean {
  return live.isEnding || live.health.state(now) === 'draining'
}
