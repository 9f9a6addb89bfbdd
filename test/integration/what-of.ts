import type { Verdict } from '../../src/proxy/verdict.ts'

/** A verdict in a word: `allow`, `block`, an error code, or `bypass:` and the reasons. */
export function whatOf({ decision, error, bypassed }: Verdict): string {
  if (error !== undefined) return error.code
  if (bypassed.length === 0) return decision.kind
  return `bypass:${bypassed.map(({ reason }) => reason).join('+')}`
}
