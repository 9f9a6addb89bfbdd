import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TokenBucket } from '../../src/policy/limits/token-bucket.ts'

const START = 1000

function drained(rate: number, burst: number): TokenBucket {
  const bucket = new TokenBucket(rate, burst, START)
  assert.equal(bucket.take(START, burst), 'taken')
  return bucket
}

describe('token bucket', () => {
  it('starts full and lets exactly the burst through at once', () => {
    const bucket = new TokenBucket(1, 10, START)
    for (let taken = 0; taken < 10; taken++) assert.equal(bucket.take(START, 1), 'taken')
    assert.equal(bucket.take(START, 1), 'empty')
  })

  it('refills by the clock alone, up to the burst', () => {
    const bucket = drained(10, 100)
    assert.equal(bucket.remaining(START + 1000), 10)
    assert.equal(bucket.remaining(START + 60_000), 100)
  })

  it('keeps fractions: ten ticks of 50 ms at 10/s make five tokens', () => {
    const bucket = drained(10, 10)
    let taken = 0
    for (let tick = 1; tick <= 10; tick++) if (bucket.take(START + tick * 50, 1) === 'taken') taken++
    assert.equal(taken, 5)
  })

  it('deducts nothing when it denies', () => {
    const bucket = drained(1, 5)
    assert.equal(bucket.take(START + 2000, 3), 'empty')
    assert.equal(bucket.take(START + 2000, 2), 'taken')
  })

  it('says to the millisecond when a cost can be paid', () => {
    const bucket = drained(4, 8)
    const waitMs = bucket.retryAfterMs(START, 3)!
    assert.equal(waitMs, 750)
    assert.equal(bucket.take(START + waitMs - 1, 3), 'empty')
    assert.equal(bucket.take(START + waitMs, 3), 'taken')
  })

  it('never refills at rate 0', () => {
    const bucket = new TokenBucket(0, 2, START)
    assert.equal(bucket.take(START, 2), 'taken')
    assert.equal(bucket.take(START + 1e12, 1), 'empty')
    assert.equal(bucket.retryAfterMs(START, 1), undefined)
  })

  it('refuses a cost above the burst with an error instead of an endless wait', () => {
    const bucket = new TokenBucket(1, 5, START)
    assert.throws(() => bucket.take(START, 6), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => bucket.peek(START, 6), { code: 'INVALID_ARGUMENT' })
    assert.equal(bucket.retryAfterMs(START, 6), undefined)
  })

  it('refuses rates and bursts that mean nothing', () => {
    for (const rate of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => new TokenBucket(rate, 1, START), { code: 'INVALID_ARGUMENT' })
    for (const burst of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      assert.throws(() => new TokenBucket(1, burst, START), { code: 'INVALID_ARGUMENT' })
  })

  it('answers a peek as the take that follows it, and changes nothing', () => {
    const bucket = new TokenBucket(1, 2, START)
    for (const expected of ['taken', 'taken', 'empty']) {
      assert.equal(bucket.peek(START, 1), expected)
      assert.equal(bucket.peek(START, 1), expected)
      assert.equal(bucket.take(START, 1), expected)
    }
  })

  it('never holds more than the burst after refunds', () => {
    const bucket = new TokenBucket(1, 3, START)
    bucket.take(START, 1)
    bucket.refund(1, START, START)
    bucket.refund(1, START, START)
    assert.equal(bucket.remaining(START), 3)
    assert.equal(bucket.take(START, 3), 'taken')
    assert.equal(bucket.take(START, 1), 'empty')
  })

  it('gives back no place that the line has refilled since it was taken', () => {
    for (const [waitMs, refilled] of [
      [10_000, 10],
      [4000, 4],
    ] as const) {
      const bucket = drained(1, 10)
      const now = START + waitMs
      assert.equal(bucket.take(now, refilled), 'taken')
      bucket.refund(10, START, now)
      assert.equal(bucket.remaining(now), 10 - refilled)
    }
  })

  it('admits at most burst + rate x elapsed over every window, whatever is taken when', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 5000, noNaN: true }),
        fc.double({ min: 1, max: 500, noNaN: true }),
        fc.array(
          fc.record({
            gapMs: fc.double({ min: 0, max: 3000, noNaN: true }),
            cost: fc.double({ min: 0.01, max: 1, noNaN: true }),
          }),
          { maxLength: 200 },
        ),
        (rate, burst, steps) => {
          const bucket = new TokenBucket(rate, burst, START)
          let now = START
          let debt = 0
          let at = START
          for (const { gapMs, cost } of steps) {
            now += gapMs
            if (bucket.take(now, cost * burst) !== 'taken') continue
            debt = Math.max(0, debt - (rate / 1000) * (now - at)) + cost * burst
            at = now
            assert.ok(debt <= burst + 1e-5, `${debt} tokens in a window of a bucket of ${burst}`)
          }
        },
      ),
    )
  })

  it('keeps its precision after a year of traffic', () => {
    const bucket = new TokenBucket(50_000, 10, START)
    const later = START + 365 * 86_400_000
    assert.equal(bucket.take(later, 10), 'taken')
    assert.equal(bucket.take(later, 1), 'empty')
    assert.equal(bucket.take(later + bucket.retryAfterMs(later, 1)!, 1), 'taken')
  })
})
