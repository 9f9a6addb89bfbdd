import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type LimitFacts, WeirError } from '../../src/core/errors.ts'
import { denialHeaders, rateLimitHeaders } from '../../src/proxy/limits/rate-limit-headers.ts'

const LIMIT: LimitFacts = { rule: 'events', limit: 100, ratePerSecond: 10, remaining: 0, resetMs: 9999 }
const BAN: LimitFacts = { rule: 'ban', limit: 0, ratePerSecond: 0, remaining: 0, resetMs: undefined }

function field(headers: readonly string[], name: string): string | undefined {
  const at = headers.indexOf(name)
  return at < 0 ? undefined : headers[at + 1]
}

describe('rate limit headers', () => {
  it('name every limit with its quota, its window, what is left and when it is full', () => {
    const views = [
      { rule: 'all', limit: 100, remaining: 7, resetMs: 9300, ratePerSecond: 10 },
      { rule: 'route', limit: 5, remaining: 5, resetMs: 0, ratePerSecond: 2 },
    ]
    assert.deepEqual(rateLimitHeaders(views), [
      'ratelimit-policy',
      '"all";q=100;w=10, "route";q=5;w=3',
      'ratelimit',
      '"all";r=7;t=10, "route";r=5;t=0',
    ])
    assert.deepEqual(rateLimitHeaders([]), [])
  })

  it('round the wait up to whole seconds, at least one', () => {
    assert.equal(
      field(
        denialHeaders(new WeirError('RATE_LIMITED', 'no', { retryAfterMs: 1200, limit: LIMIT })),
        'retry-after',
      ),
      '2',
    )
    assert.equal(field(denialHeaders({ retryAfterMs: 0.5, limit: LIMIT }), 'retry-after'), '1')
  })

  it('promise nothing where waiting does not help', () => {
    const never = denialHeaders({
      retryAfterMs: undefined,
      limit: { ...LIMIT, resetMs: undefined, ratePerSecond: 0 },
    })
    assert.deepEqual(never, ['ratelimit-policy', '"events";q=100', 'ratelimit', '"events";r=0'])
    assert.deepEqual(denialHeaders({ retryAfterMs: undefined, limit: BAN }), [])
    assert.deepEqual(denialHeaders({ retryAfterMs: 60_000, limit: BAN }), ['retry-after', '60'])
  })

  it('keep names from breaking out of their quotes', () => {
    const headers = denialHeaders({ retryAfterMs: 1, limit: { ...LIMIT, rule: 'a"b\\c\r\nx: y' } })
    assert.equal(field(headers, 'ratelimit'), '"a\\"b\\\\c__x: y";r=0;t=10')
  })
})
