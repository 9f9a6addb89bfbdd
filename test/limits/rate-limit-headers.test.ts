import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LimitDenied } from '../../src/proxy/limits/limit-gate.ts'
import { denialHeaders, rateLimitHeaders } from '../../src/proxy/limits/rate-limit-headers.ts'

const DENIED: LimitDenied = {
  allowed: false,
  code: 'RATE_LIMITED',
  retryAfterMs: 1200,
  limit: 100,
  ratePerSecond: 10,
  remaining: 0,
  resetMs: 9999,
  rule: 'events',
  shadow: false,
}

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
    assert.equal(field(denialHeaders(DENIED), 'retry-after'), '2')
    assert.equal(field(denialHeaders({ ...DENIED, retryAfterMs: 0.5 }), 'retry-after'), '1')
  })

  it('promise nothing where waiting does not help', () => {
    const never = denialHeaders({ ...DENIED, retryAfterMs: undefined, resetMs: undefined, ratePerSecond: 0 })
    assert.deepEqual(never, ['ratelimit-policy', '"events";q=100', 'ratelimit', '"events";r=0'])
    assert.deepEqual(denialHeaders({ ...DENIED, code: 'BANNED', retryAfterMs: undefined }), [])
    assert.deepEqual(denialHeaders({ ...DENIED, code: 'BANNED', retryAfterMs: 60_000 }), [
      'retry-after',
      '60',
    ])
  })

  it('keep names from breaking out of their quotes', () => {
    const headers = denialHeaders({ ...DENIED, rule: 'a"b\\c\r\nx: y' })
    assert.equal(field(headers, 'ratelimit'), '"a\\"b\\\\c__x: y";r=0;t=10')
  })
})
