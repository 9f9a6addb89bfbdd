import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '../../src/core/random.ts'
import type { BreakerOptions, BreakerTicket } from '../../src/policy/breaker/breaker.ts'
import { Breaker, REFUSED } from '../../src/policy/breaker/breaker.ts'

const make = (options: BreakerOptions = {}, seed = 1): Breaker => new Breaker(seededRandom(seed), options)

/** Opens it at `now` and returns the instant from which it is half-open. */
function trip(breaker: Breaker, now: number): number {
  while (breaker.state(now) === 'closed') breaker.failed(breaker.admit(now), now)
  return now + breaker.retryAfterMs(now)
}

describe('breaker', () => {
  it('opens on the fifth failure in a row and not before', () => {
    const breaker = make()
    for (let count = 0; count < 4; count++) breaker.failed(breaker.admit(0), 0)
    breaker.succeeded(breaker.admit(0), 0)
    for (let count = 0; count < 4; count++) breaker.failed(breaker.admit(0), 0)
    assert.equal(breaker.state(0), 'closed')
    breaker.failed(breaker.admit(0), 0)
    assert.equal(breaker.state(0), 'open')
    assert.equal(breaker.admit(1), REFUSED)
  })

  it('opens on half failures only once the volume is there', () => {
    const breaker = make()
    for (let count = 0; count < 19; count++) {
      const ticket = breaker.admit(count)
      if (count % 2 === 0) breaker.failed(ticket, count)
      else breaker.succeeded(ticket, count)
      assert.equal(breaker.state(count), 'closed')
    }
    breaker.failed(breaker.admit(20), 20)
    assert.equal(breaker.state(20), 'open')
  })

  it('forgets failures older than the window', () => {
    const breaker = make({ consecutiveFailures: 1000, windowMs: 1000 })
    for (let count = 0; count < 19; count++) breaker.failed(breaker.admit(0), 0)
    breaker.failed(breaker.admit(1500), 1500)
    assert.equal(breaker.state(1500), 'closed')
  })

  it('pauses longer after each failed probe, with jitter, up to the ceiling', () => {
    const breaker = make({ openMs: 1000, maxOpenMs: 8000 })
    let now = trip(breaker, 0)
    let ceiling = 1000
    assert.ok(now >= 500 && now < 1000)
    for (let round = 0; round < 6; round++) {
      breaker.failed(breaker.admit(now), now)
      ceiling = Math.min(8000, ceiling * 2)
      const pause = breaker.retryAfterMs(now)
      assert.ok(pause >= ceiling / 2 && pause < ceiling, `${pause} in round ${round}`)
      now += pause
    }
    breaker.succeeded(breaker.admit(now), now)
    breaker.succeeded(breaker.admit(now), now)
    assert.equal(breaker.state(now), 'closed')
    assert.ok(trip(breaker, now) - now < 1000)
  })

  it('tries an agent that shows signs of life early, though not before the least pause', () => {
    const breaker = make({ openMs: 5000, leastOpenMs: 500 })
    trip(breaker, 0)
    breaker.signOfLife(10)
    assert.equal(breaker.state(499), 'open')
    assert.equal(breaker.state(500), 'half-open')
    breaker.succeeded(breaker.admit(500), 500)
    breaker.succeeded(breaker.admit(500), 500)
    assert.equal(breaker.state(500), 'closed')
    trip(breaker, 20_000)
    assert.equal(breaker.state(21_000), 'open')
    breaker.signOfLife(21_000)
    assert.equal(breaker.state(21_000), 'half-open')
  })

  it('changes nothing for a sign of life while it is closed or half-open', () => {
    const breaker = make()
    breaker.signOfLife(0)
    const halfOpenAt = trip(breaker, 1)
    assert.equal(breaker.state(halfOpenAt), 'half-open')
    const { ticket } = breaker
    breaker.signOfLife(halfOpenAt)
    assert.equal(breaker.ticket, ticket)
  })

  it('tries an agent that shows life and fails no more often, after its first seconds, than a silent one', () => {
    const breaker = make({ openMs: 5000, maxOpenMs: 60_000, leastOpenMs: 500 })
    trip(breaker, 0)
    const trials: number[] = []
    for (let now = 1; now < 600_000; now++) {
      breaker.signOfLife(now)
      if (!breaker.wouldAdmit(now)) continue
      trials.push(now)
      breaker.failed(breaker.admit(now), now)
    }
    assert.deepEqual(trials.slice(0, 4), [500, 1500, 3500, 7500])
    const longest = trials.slice(6).map((at, n) => at - trials[n + 5]!)
    assert.ok(Math.min(...longest) >= 16_000, longest.join(' '))
    assert.ok(trials.length < 30, `${trials.length} trials in ten minutes`)
  })

  it('gives an agent that flaps no fresh start', () => {
    const breaker = make({ openMs: 5000, leastOpenMs: 500 })
    let now = 0
    const pauses: number[] = []
    for (let round = 0; round < 5; round++) {
      trip(breaker, now)
      const openedAt = now
      while (!breaker.wouldAdmit(now)) breaker.signOfLife(++now)
      pauses.push(now - openedAt)
      breaker.succeeded(breaker.admit(now), now)
      breaker.succeeded(breaker.admit(now), now)
      now += 1000
    }
    assert.deepEqual(pauses.slice(0, 3), [500, 1000, 2000])
    assert.ok(pauses[4]! >= 2500, pauses.join(' '))
    now += 10_000
    trip(breaker, now)
    breaker.signOfLife(now)
    assert.equal(breaker.state(now + 500), 'half-open')
  })

  it('closes although more successes are needed than probes may be out', () => {
    const breaker = make({ probes: 1, probeSuccesses: 4 })
    const now = trip(breaker, 0)
    for (let count = 0; count < 4; count++) {
      assert.equal(breaker.state(now), 'half-open')
      const ticket = breaker.admit(now)
      assert.notEqual(ticket, REFUSED)
      assert.equal(breaker.admit(now), REFUSED)
      breaker.succeeded(ticket, now)
    }
    assert.equal(breaker.state(now), 'closed')
  })

  it('takes back the place of a probe that was cancelled', () => {
    const breaker = make({ probes: 1 })
    const now = trip(breaker, 0)
    for (let count = 0; count < 100; count++) {
      const ticket = breaker.admit(now)
      assert.notEqual(ticket, REFUSED)
      breaker.withdrawn(ticket, now)
    }
  })

  it('takes back the places of probes that nobody ever settled', () => {
    const breaker = make({ probes: 2, probeTimeoutMs: 100 })
    const now = trip(breaker, 0)
    const lost = [breaker.admit(now), breaker.admit(now)]
    assert.equal(breaker.admit(now + 99), REFUSED)
    const ticket = breaker.admit(now + 100)
    assert.notEqual(ticket, REFUSED)
    for (const old of lost) breaker.failed(old, now + 101)
    assert.equal(breaker.state(now + 101), 'half-open')
  })

  it('starts a new window when it closes, so old failures do not open it again', () => {
    const breaker = make({ minimumVolume: 4, openMs: 10 })
    const now = trip(breaker, 0)
    for (let count = 0; count < 2; count++) breaker.succeeded(breaker.admit(now), now)
    breaker.failed(breaker.admit(now), now)
    assert.equal(breaker.state(now), 'closed')
  })

  it('ignores outcomes of events admitted before it opened', () => {
    const breaker = make()
    const old = breaker.admit(0)
    const now = trip(breaker, 0)
    breaker.failed(old, now)
    assert.equal(breaker.state(now), 'half-open')
    breaker.succeeded(old, now)
    breaker.succeeded(old, now)
    assert.equal(breaker.state(now), 'half-open')
  })
})

type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'admit' }
  | { readonly do: 'show-life' }
  | {
      readonly do: 'settle'
      readonly how: 'succeeded' | 'failed' | 'withdrawn' | 'lost'
      readonly which: number
    }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(4000) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('admit' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('show-life' as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        how: fc.constantFrom('succeeded', 'failed', 'failed', 'failed', 'withdrawn', 'lost'),
        which: fc.nat(),
      }),
    },
  ),
  { maxLength: 150 },
)
const options: fc.Arbitrary<BreakerOptions> = fc.record({
  consecutiveFailures: fc.integer({ min: 1, max: 6 }),
  minimumVolume: fc.integer({ min: 1, max: 10 }),
  probes: fc.integer({ min: 1, max: 4 }),
  probeSuccesses: fc.integer({ min: 1, max: 6 }),
  openMs: fc.integer({ min: 1, max: 2000 }),
  probeTimeoutMs: fc.integer({ min: 1, max: 5000 }),
})

describe('breaker under random histories', () => {
  it('moves along the drawn transitions only, bounds its probes and always recovers', () => {
    fc.assert(
      fc.property(options, steps, fc.nat(), (settings, history, seed) => {
        const breaker = make(settings, seed)
        const out: BreakerTicket[] = []
        let now = 0
        let state = breaker.state(now)
        const follow = (cause: Step['do']): void => {
          const next = breaker.state(now)
          const arrow = `${state}>${next}`
          if (next !== state) {
            const legal = ['closed>open', 'open>half-open', 'half-open>open', 'half-open>closed']
            assert.ok(legal.includes(arrow), `${arrow} on ${cause}`)
            if (arrow !== 'open>half-open') assert.equal(cause, 'settle')
          }
          state = next
        }
        for (const step of history) {
          if (step.do === 'wait') now += step.ms
          follow('wait')
          if (step.do === 'show-life') breaker.signOfLife(now)
          if (step.do === 'admit') {
            const expected = breaker.wouldAdmit(now)
            const ticket = breaker.admit(now)
            assert.equal(ticket !== REFUSED, expected)
            if (state === 'closed') assert.notEqual(ticket, REFUSED)
            if (state === 'open') assert.equal(ticket, REFUSED)
            if (ticket !== REFUSED) out.push(ticket)
            if (state === 'half-open' && ticket !== REFUSED) {
              const probes = out.filter((entry) => entry === ticket).length
              assert.ok(probes <= settings.probes!)
            }
          }
          if (step.do === 'settle' && out.length > 0) {
            const ticket = out.splice(step.which % out.length, 1)[0]!
            if (step.how !== 'lost') breaker[step.how](ticket, now)
            else if (ticket === breaker.ticket && state === 'half-open') out.push(ticket)
          }
          follow(step.do)
        }
        /* The agent is well again, whatever happened: a bounded number of tries closes the breaker. */
        for (let turn = 0; turn < 20 && breaker.state(now) !== 'closed'; turn++) {
          now +=
            1 + Math.max(breaker.retryAfterMs(now), breaker.wouldAdmit(now) ? 0 : settings.probeTimeoutMs!)
          const ticket = breaker.admit(now)
          assert.notEqual(ticket, REFUSED)
          breaker.succeeded(ticket, now)
        }
        assert.equal(breaker.state(now), 'closed')
      }),
      { numRuns: 1000 },
    )
  })
})
