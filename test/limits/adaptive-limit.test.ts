import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/core/clock.ts'
import { AdaptiveLimit, type AdaptiveLimitOptions } from '../../src/policy/limits/adaptive-limit.ts'
import { DEFAULT_TARGETS, LoadPressure, type LoadSample } from '../../src/policy/limits/load-pressure.ts'
import { ConcurrencyGate } from '../../src/proxy/limits/concurrency-gate.ts'
import { type LoadFigures, LoadSampler } from '../../src/proxy/limits/load-sampler.ts'
import { eventually } from '../support/eventually.ts'

const OPTIONS: AdaptiveLimitOptions = { min: 10, max: 1000, initial: 100 }
const CALM: LoadSample = { loopLagMs: 0, utilization: 0.1, queueMs: 0 }

/** A limit and the pressure that moves it. */
class Loaded {
  readonly pressure: LoadPressure
  readonly limit = new AdaptiveLimit(OPTIONS)

  constructor(targets = DEFAULT_TARGETS) {
    this.pressure = new LoadPressure(targets)
  }

  feed(sample: LoadSample, times: number, used = 1000): number {
    for (let count = 0; count < times; count++) {
      this.pressure.observe(sample)
      this.limit.observe(this.pressure.value, used)
    }
    return this.limit.limit
  }
}

describe('adaptive limit', () => {
  it('shrinks to its least while any one figure stays above its target', () => {
    const targets = { ...DEFAULT_TARGETS, utilization: 0.9 }
    for (const high of [{ loopLagMs: 80 }, { utilization: 1 }, { queueMs: 400 }])
      assert.equal(new Loaded(targets).feed({ ...CALM, ...high }, 100), 10, JSON.stringify(high))
  })

  it('neither shrinks nor grows for a loop that is busy and prompt, unless that is asked for', () => {
    const loaded = new Loaded()
    loaded.feed({ ...CALM, utilization: 1 }, 10)
    const { limit } = loaded.limit
    assert.equal(loaded.feed({ ...CALM, utilization: 1 }, 100), limit)
    assert.equal(loaded.pressure.state, 'steady')
  })

  it('grows back to its most once the load is low and the limit is used', () => {
    const loaded = new Loaded()
    loaded.feed({ ...CALM, loopLagMs: 80 }, 100)
    assert.equal(loaded.feed(CALM, 300), 1000)
  })

  it('does not grow while the limit is not what holds traffic back', () => {
    assert.equal(new Loaded().feed(CALM, 100, 10), 100)
  })

  it('is not moved by one bad sample', () => {
    const loaded = new Loaded()
    loaded.feed(CALM, 10, 0)
    assert.equal(loaded.feed({ ...CALM, loopLagMs: 45 }, 1, 0), 100)
  })

  it('holds between calm and too much, so that it does not flap', () => {
    const loaded = new Loaded()
    const busy = { ...CALM, loopLagMs: 20 * 0.85 }
    const held = loaded.feed(busy, 20)
    assert.equal(loaded.feed(busy, 100), held)
  })

  it('names the figure that presses, and the state', () => {
    const targets = { ...DEFAULT_TARGETS, utilization: 0.9 }
    const pressures = [{ loopLagMs: 80 }, { utilization: 1 }, { queueMs: 400 }].map((high) => {
      const loaded = new Loaded(targets)
      loaded.feed({ ...CALM, ...high }, 50)
      return loaded.pressure
    })
    assert.deepEqual(
      pressures.map(({ cause, state }) => [cause, state]),
      [
        ['loop-lag', 'pressed'],
        ['utilization', 'pressed'],
        ['queue', 'pressed'],
      ],
    )
    const calm = new Loaded().pressure
    assert.deepEqual([calm.cause, calm.state], [undefined, 'calm'])
  })

  it('stays within its bounds whatever it is fed', () => {
    const figure = fc.oneof(fc.double(), fc.integer({ min: 0, max: 1000 }))
    const sample = fc.record({ loopLagMs: figure, utilization: figure, queueMs: figure })
    fc.assert(
      fc.property(fc.array(fc.tuple(sample, figure), { maxLength: 100 }), (samples) => {
        const loaded = new Loaded()
        for (const [one, used] of samples) {
          const now = loaded.feed(one, 1, used)
          assert.ok(now >= 10 && now <= 1000 && Number.isInteger(now))
        }
      }),
    )
  })

  it('refuses bounds that contradict each other, and targets of nothing', () => {
    for (const wrong of [{ min: 0 }, { min: 200 }, { max: 50 }])
      assert.throws(() => new AdaptiveLimit({ ...OPTIONS, ...wrong }), { code: 'INVALID_ARGUMENT' })
    for (const wrong of [{ loopLagMs: 0 }, { utilization: 0 }, { queueMs: -1 }])
      assert.throws(() => new LoadPressure({ ...DEFAULT_TARGETS, ...wrong }), { code: 'INVALID_ARGUMENT' })
  })
})

function leave(gate: ConcurrencyGate, agent: string, waitMs: number | undefined): void {
  gate.tryEnter()
  gate.leave(agent, waitMs)
}

describe('concurrency gate', () => {
  it('refuses exactly the events above the limit and takes others as soon as one leaves', () => {
    const gate = new ConcurrencyGate({ ...OPTIONS, initial: 10 })
    const entered = Array.from({ length: 12 }, () => gate.tryEnter()).filter(Boolean)
    assert.equal(entered.length, 10)
    assert.equal(gate.facts.refused, 2)
    gate.leave('waf', 0)
    assert.equal(gate.tryEnter(), true)
  })

  it('is not moved by a few long waits among many short ones, nor by many of one agent', () => {
    const gate = new ConcurrencyGate({ min: 50, max: 10_000, initial: 10_000 })
    const pressure = new LoadPressure(DEFAULT_TARGETS)
    for (let interval = 0; interval < 120; interval++) {
      for (let call = 0; call < 100; call++) leave(gate, 'quick', call < 8 ? 1000 : 0)
      for (let call = 0; call < 500; call++) leave(gate, 'slow', 1000)
      pressure.observe({ ...CALM, queueMs: gate.takeQueueMs() })
      gate.observe(pressure.value)
    }
    assert.equal(gate.facts.limit, 10_000)
  })

  it('is not moved by one slow event a second', () => {
    const gate = new ConcurrencyGate(OPTIONS)
    for (let interval = 0; interval < 10; interval++) {
      leave(gate, 'slow', 1000)
      assert.equal(gate.takeQueueMs(), 0)
    }
  })

  it('shrinks while the calls of every agent wait', () => {
    const gate = new ConcurrencyGate(OPTIONS)
    const pressure = new LoadPressure(DEFAULT_TARGETS)
    for (let interval = 0; interval < 20; interval++) {
      for (let call = 0; call < 100; call++) leave(gate, call % 2 === 0 ? 'waf' : 'auth', 200)
      pressure.observe({ ...CALM, queueMs: gate.takeQueueMs() })
      gate.observe(pressure.value)
    }
    assert.ok(gate.facts.limit < OPTIONS.initial)
    assert.equal(gate.takeQueueMs(), 0, 'each interval starts afresh')
  })

  it('tells the wait that nine of ten calls did not pass, within a factor of two', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16_000 }), (waitMs) => {
        const gate = new ConcurrencyGate(OPTIONS)
        for (let call = 0; call < 100; call++) leave(gate, 'waf', call < 85 ? waitMs : 100_000)
        assert.ok(gate.takeQueueMs() >= 16_384)
        for (let call = 0; call < 100; call++) leave(gate, 'waf', call < 95 ? waitMs : 100_000)
        const told = gate.takeQueueMs()
        assert.ok(told > waitMs && told <= 2 * waitMs, `${told} for ${waitMs}`)
      }),
    )
  })

  it('counts no call that got no connection', () => {
    const gate = new ConcurrencyGate(OPTIONS)
    for (let call = 0; call < 100; call++) leave(gate, 'waf', undefined)
    assert.equal(gate.takeQueueMs(), 0)
  })
})

describe('load sampler', () => {
  it('sees an event loop that is really held up: late, busy, and using its core', async (test) => {
    const pressure = new LoadPressure(DEFAULT_TARGETS)
    const seen: LoadFigures[] = []
    const sampler = new LoadSampler(systemClock, (figures) => {
      seen.push(figures)
      pressure.observe({ ...figures, queueMs: 0 })
    })
    sampler.start()
    test.after(() => sampler.stop())
    const hold = setInterval(() => {
      const until = performance.now() + 60
      while (performance.now() < until);
    }, 5)
    test.after(() => clearInterval(hold))
    await eventually('the load presses', () => pressure.state === 'pressed', 10_000)
    assert.equal(pressure.cause, 'loop-lag')
    const { utilization, cpuCores } = seen.at(-1)!
    assert.ok(utilization > 0.5 && utilization <= 1, `utilization ${utilization}`)
    assert.ok(cpuCores > 0, `${cpuCores} cores`)
  })
})
