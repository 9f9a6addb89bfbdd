/** Milliseconds a fresh connection takes to reach its full share. */
export const DEFAULT_SLOW_START_MS = 10_000
/** Share at the start. Not 0: something must reach the connection for it to warm up. */
const FLOOR = 0.1

/**
 * Share of traffic for a connection of the given age: a straight line from 0.1 to 1. `durationMs` 0 turns the
 * ramp off.
 */
export function slowStartWeight(ageMs: number, durationMs: number = DEFAULT_SLOW_START_MS): number {
  if (!(durationMs > 0) || ageMs >= durationMs) return 1
  return Math.max(FLOOR, ageMs / durationMs)
}
