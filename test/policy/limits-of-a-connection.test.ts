import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FailureWindow } from '../../src/policy/breaker/failure-window.ts'
import { concurrencyLimit } from '../../src/policy/concurrency-limit.ts'
import { slowStartWeight } from '../../src/policy/slow-start.ts'

describe('slow start', () => {
  it('rises from a tenth to all and never falls', () => {
    assert.equal(slowStartWeight(0), 0.1)
    assert.equal(slowStartWeight(5000), 0.5)
    assert.equal(slowStartWeight(10_000), 1)
    fc.assert(
      fc.property(
        fc.nat(20_000),
        fc.nat(20_000),
        fc.integer({ min: 1, max: 15_000 }),
        (one, more, duration) => {
          assert.ok(slowStartWeight(one, duration) <= slowStartWeight(one + more, duration))
          assert.ok(slowStartWeight(one, duration) >= 0.1 && slowStartWeight(one, duration) <= 1)
        },
      ),
    )
  })

  it('is off with a duration of 0', () => {
    assert.equal(slowStartWeight(0, 0), 1)
  })
})

describe('events at once on a connection', () => {
  it('are the least of what was configured and what the agent stated', () => {
    assert.equal(concurrencyLimit(100, 0, 0), 100)
    assert.equal(concurrencyLimit(100, 20, 0), 20)
    assert.equal(concurrencyLimit(100, 20, 8), 8)
    assert.equal(concurrencyLimit(100, 500, 900), 100)
    assert.equal(concurrencyLimit(100, Number.NaN, -4), 100)
    assert.equal(concurrencyLimit(100, 0.5, 0), 1)
  })
})

describe('failure window', () => {
  it('counts what a list of outcomes would, to a bucket', () => {
    const step = fc.record({ isFailure: fc.boolean(), waitMs: fc.nat(400) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new FailureWindow(1000)
        const all: { at: number; isFailure: boolean }[] = []
        let now = 0
        for (const { isFailure, waitMs } of steps) {
          now += waitMs
          window.count(isFailure, now)
          all.push({ at: now, isFailure })
          const oldest = Math.floor(now / 100) - 9
          const inside = all.filter((entry) => Math.floor(entry.at / 100) >= oldest)
          assert.equal(window.volume(now), inside.length)
          const failures = inside.filter((entry) => entry.isFailure).length
          assert.equal(window.failureShare(now), failures / inside.length)
        }
        assert.equal(window.volume(now + 1000), 0)
        assert.equal(window.failureShare(now + 1000), 0)
      }),
    )
  })
})
