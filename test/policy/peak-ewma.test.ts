import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { PeakEwma } from '../../src/policy/peak-ewma.ts'

describe('peak-sensitive moving average', () => {
  it('is 0 before the first reply and the first latency after it', () => {
    const average = new PeakEwma()
    assert.equal(average.value(1e9), 0)
    average.observe(12, 1e9)
    assert.equal(average.value(1e9), 12)
  })

  it('jumps to a peak at once and comes down slowly', () => {
    const average = new PeakEwma(1000)
    average.observe(10, 0)
    average.observe(500, 10)
    assert.equal(average.value(10), 500)
    average.observe(10, 110)
    const soon = average.value(110)
    assert.ok(soon > 400 && soon < 500, `${soon}`)
    for (let now = 210; now <= 5000; now += 100) average.observe(10, now)
    assert.ok(Math.abs(average.value(5000) - 10) < 5)
  })

  it('sinks while nothing is observed, so an exile ends', () => {
    const average = new PeakEwma(1000)
    average.observe(1000, 0)
    assert.ok(Math.abs(average.value(1000) - 1000 / Math.E) < 1)
    assert.ok(average.value(20_000) < 1)
  })

  it('stays between 0 and the highest latency, whatever comes in', () => {
    const step = fc.record({
      latencyMs: fc.oneof(
        fc.double({ min: 1e-6, max: 1e5, noNaN: true }),
        fc.constantFrom(Number.NaN, -1, 0),
      ),
      waitMs: fc.double({ min: 0, max: 1e5, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const average = new PeakEwma()
        let now = 0
        let peak = 0
        for (const { latencyMs, waitMs } of steps) {
          now += waitMs
          average.observe(latencyMs, now)
          if (latencyMs > peak) peak = latencyMs
          const value = average.value(now)
          /* A hair of tolerance for rounding. */
          assert.ok(value >= 0 && value <= peak * (1 + 1e-9))
          if (latencyMs >= 0) assert.ok(value >= latencyMs * (1 - 1e-9))
        }
      }),
    )
  })
})
