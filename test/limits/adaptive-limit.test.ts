import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/core/clock.ts'
import {
  AdaptiveLimit,
  type AdaptiveLimitOptions,
  DEFAULT_TARGETS,
  type LoadSample,
} from '../../src/policy/limits/adaptive-limit.ts'
import { ConcurrencyGate } from '../../src/proxy/limits/concurrency-gate.ts'
import { LoadSampler } from '../../src/proxy/limits/load-sampler.ts'
import { eventually } from '../support/eventually.ts'

const OPTIONS: AdaptiveLimitOptions = { min: 10, max: 1000, initial: 100, targets: DEFAULT_TARGETS }
const CALM: LoadSample = { loopLagMs: 0, cpu: 0.1, queueMs: 0, inFlight: 1000 }

function feed(limit: AdaptiveLimit, sample: LoadSample, times: number): number {
  for (let count = 0; count < times; count++) limit.observe(sample)
  return limit.limit
}

describe('adaptive limit', () => {
  it('shrinks to its least while any one figure stays above its target', () => {
    for (const high of [{ loopLagMs: 80 }, { cpu: 1 }, { queueMs: 400 }])
      assert.equal(feed(new AdaptiveLimit(OPTIONS), { ...CALM, ...high }, 100), 10, JSON.stringify(high))
  })

  it('grows back to its most once the load is low and the limit is used', () => {
    const limit = new AdaptiveLimit(OPTIONS)
    feed(limit, { ...CALM, loopLagMs: 80 }, 100)
    assert.equal(feed(limit, CALM, 300), 1000)
  })

  it('does not grow while the limit is not what holds traffic back', () => {
    assert.equal(feed(new AdaptiveLimit(OPTIONS), { ...CALM, inFlight: 10 }, 100), 100)
  })

  it('is not moved by one bad sample', () => {
    const limit = new AdaptiveLimit(OPTIONS)
    feed(limit, { ...CALM, inFlight: 0 }, 10)
    assert.equal(feed(limit, { ...CALM, loopLagMs: 45, inFlight: 0 }, 1), 100)
  })

  it('holds between calm and too much, so that it does not flap', () => {
    const limit = new AdaptiveLimit(OPTIONS)
    const busy = { ...CALM, cpu: 0.9 * 0.85 }
    feed(limit, busy, 20)
    const held = limit.limit
    assert.equal(feed(limit, busy, 100), held)
  })

  it('names the figure that presses', () => {
    const causes = [{ loopLagMs: 80 }, { cpu: 1 }, { queueMs: 400 }].map((high) => {
      const limit = new AdaptiveLimit(OPTIONS)
      feed(limit, { ...CALM, ...high }, 50)
      return limit.cause
    })
    assert.deepEqual(causes, ['loop-lag', 'cpu', 'queue'])
    assert.equal(new AdaptiveLimit(OPTIONS).cause, undefined)
  })

  it('stays within its bounds whatever it is fed', () => {
    const figure = fc.oneof(fc.double(), fc.integer({ min: 0, max: 1000 }))
    const sample = fc.record({ loopLagMs: figure, cpu: figure, queueMs: figure, inFlight: figure })
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 100 }), (samples) => {
        const limit = new AdaptiveLimit(OPTIONS)
        for (const one of samples) {
          const now = limit.observe(one)
          assert.ok(now >= 10 && now <= 1000 && Number.isInteger(now))
        }
      }),
    )
  })

  it('refuses bounds that contradict each other', () => {
    for (const wrong of [{ min: 0 }, { min: 200 }, { max: 50 }, { targets: { ...DEFAULT_TARGETS, cpu: 0 } }])
      assert.throws(() => new AdaptiveLimit({ ...OPTIONS, ...wrong }), { code: 'INVALID_ARGUMENT' })
  })
})

describe('concurrency gate', () => {
  it('refuses exactly the events above the limit and takes others as soon as one leaves', () => {
    const gate = new ConcurrencyGate({ ...OPTIONS, initial: 10 })
    const entered = Array.from({ length: 12 }, () => gate.tryEnter()).filter(Boolean)
    assert.equal(entered.length, 10)
    assert.equal(gate.facts.refused, 2)
    gate.leave(0)
    assert.equal(gate.tryEnter(), true)
  })

  it('refuses nothing while adaptation is off', () => {
    const gate = new ConcurrencyGate(undefined)
    for (let count = 0; count < 10_000; count++) assert.equal(gate.tryEnter(), true)
    gate.observe({ loopLagMs: 1e6, cpu: 1 })
    assert.equal(gate.tryEnter(), true)
    assert.equal(gate.facts.isAdaptive, false)
  })

  it('shrinks when the event loop is really held up', async (test) => {
    const gate = new ConcurrencyGate({ ...OPTIONS, initial: 100 })
    const sampler = new LoadSampler(systemClock, gate)
    sampler.start()
    test.after(() => sampler.stop())
    const hold = setInterval(() => {
      const until = performance.now() + 60
      while (performance.now() < until);
    }, 5)
    test.after(() => clearInterval(hold))
    await eventually('the limit shrank', () => gate.facts.limit < 100, 10_000)
    assert.equal(gate.facts.cause, 'loop-lag')
  })
})
