import type { LimitFacts } from '../../core/errors.ts'
import type { HeaderList } from '../../core/event.ts'

/**
 * What a client is told of its limits, in the words of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy`
 * (quota and window) and `RateLimit` (what is left, seconds until full), one item per limit.
 */
export function rateLimitHeaders(limits: readonly LimitFacts[]): HeaderList {
  if (limits.length === 0) return []
  return [
    'ratelimit-policy',
    limits.map((limit) => policyItem(limit)).join(', '),
    'ratelimit',
    limits.map((limit) => stateItem(limit)).join(', '),
  ]
}

/** What is known of a denial; a `WeirError` of the limiter fits. */
export interface Denial {
  readonly retryAfterMs: number | undefined
  /** undefined, or of a quota of 0: a ban, which has no quota to tell of. */
  readonly limit: LimitFacts | undefined
}

/** As `rateLimitHeaders` for the limit that said no, with `Retry-After` when waiting helps. */
export function denialHeaders({ retryAfterMs, limit }: Denial): HeaderList {
  const headers: string[] = []
  if (retryAfterMs !== undefined) headers.push('retry-after', String(Math.max(1, seconds(retryAfterMs))))
  return limit === undefined || limit.limit === 0 ? headers : [...headers, ...rateLimitHeaders([limit])]
}

/** The window is the time in which an empty bucket fills. */
function policyItem({ rule, limit, ratePerSecond }: LimitFacts): string {
  const window = ratePerSecond === 0 ? '' : `;w=${seconds((limit / ratePerSecond) * 1000)}`
  return `${quoted(rule)};q=${Math.floor(limit)}${window}`
}

function stateItem({ rule, remaining, resetMs }: LimitFacts): string {
  return `${quoted(rule)};r=${remaining}${resetMs === undefined ? '' : `;t=${seconds(resetMs)}`}`
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}

/** A string of RFC 9651: printable ASCII, with quote and backslash escaped. */
function quoted(name: string): string {
  return `"${name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\]/g, '\\$&')}"`
}
