import type { HeaderList } from '../../core/event.ts'
import type { LimitDenied } from './limit-gate.ts'
import type { LimitView } from './limiter.ts'

/**
 * What a client is told of its limits, in the words of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy`
 * (quota and window) and `RateLimit` (what is left, seconds until full), one item per limit.
 */
export function rateLimitHeaders(views: readonly LimitView[]): HeaderList {
  if (views.length === 0) return []
  return [
    'ratelimit-policy',
    views.map((view) => policyItem(view.rule, view.limit, view.ratePerSecond)).join(', '),
    'ratelimit',
    views.map((view) => stateItem(view.rule, view.remaining, view.resetMs)).join(', '),
  ]
}

/** As `rateLimitHeaders` for the limit that said no, with `Retry-After` when waiting helps. */
export function denialHeaders(denied: LimitDenied): HeaderList {
  const headers: string[] = []
  if (denied.retryAfterMs !== undefined)
    headers.push('retry-after', String(Math.max(1, seconds(denied.retryAfterMs))))
  if (denied.code === 'BANNED') return headers
  headers.push('ratelimit-policy', policyItem(denied.rule, denied.limit, denied.ratePerSecond))
  headers.push('ratelimit', stateItem(denied.rule, denied.remaining, denied.resetMs))
  return headers
}

/** The window is the time in which an empty bucket fills. */
function policyItem(rule: string, burst: number, ratePerSecond: number): string {
  const window = ratePerSecond === 0 ? '' : `;w=${seconds((burst / ratePerSecond) * 1000)}`
  return `${quoted(rule)};q=${Math.floor(burst)}${window}`
}

function stateItem(rule: string, remaining: number, resetMs: number | undefined): string {
  return `${quoted(rule)};r=${remaining}${resetMs === undefined ? '' : `;t=${seconds(resetMs)}`}`
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}

/** A string of RFC 9651: printable ASCII, with quote and backslash escaped. */
function quoted(name: string): string {
  return `"${name.replace(/[^\x20-\x7e]/g, '_').replace(/["\\]/g, '\\$&')}"`
}
