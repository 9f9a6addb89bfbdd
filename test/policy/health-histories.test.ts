import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { HealthState } from '../../src/core/agent-messages.ts'
import { seededRandom } from '../../src/core/random.ts'
import { EjectionGroup, ejectionAllowed } from '../../src/policy/health/ejection-group.ts'
import { Health } from '../../src/policy/health/health.ts'
import { healthSettings } from '../../src/policy/health/health-options.ts'

const evidence = fc.oneof(
  fc.record({
    kind: fc.constantFrom('leased', 'replied', 'failed', 'failed', 'withdrawn', 'ponged', 'pingMissed'),
  }),
  fc.record({ kind: fc.constant('progressed' as const), ageMs: fc.nat(20_000) }),
  fc.record({
    kind: fc.constant('reported' as const),
    state: fc.constantFrom<HealthState>('healthy', 'degraded', 'draining', 'unhealthy'),
    validForMs: fc.option(fc.integer({ min: 1, max: 5000 }), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('closed' as const) }),
)
type Evidence = typeof evidence extends fc.Arbitrary<infer T> ? T : never
const history = fc.array(fc.record({ of: fc.nat(5), waitMs: fc.nat(3000), evidence }), { maxLength: 150 })

function give(health: Health, fact: Evidence, now: number): void {
  switch (fact.kind) {
    case 'leased':
      health.leased(now)
      break
    case 'replied':
      health.replied(now)
      break
    case 'failed':
      health.failed(now)
      break
    case 'withdrawn':
      health.withdrawn()
      break
    case 'ponged':
      health.ponged(now)
      break
    case 'pingMissed':
      health.pingMissed(now)
      break
    case 'progressed':
      health.progressed(fact.ageMs, now)
      break
    case 'reported': {
      const validUntilMs = fact.validForMs === undefined ? undefined : 1000 + fact.validForMs
      health.reported({ agentId: 'a', state: fact.state, timestampMs: 1000, validUntilMs }, now, 0)
      break
    }
    case 'closed':
      health.close()
      break
  }
}

describe('health under random histories', () => {
  it('keeps its share, admits what its weight says, moves as drawn, and always recovers', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), history, fc.nat(), (size, steps, seed) => {
        const group = new EjectionGroup()
        const settings = healthSettings({ trialTimeoutMs: 5000 })
        const random = seededRandom(seed)
        const all = Array.from({ length: size }, () => new Health(settings, group, random, 0))
        const open = new Set(all)
        let now = 0
        for (const step of steps) {
          now += step.waitMs
          const subject = all[step.of % size]!
          const before = all.map((health) => health.state(now))
          const ejectedBefore = group.ejected
          give(subject, step.evidence, now)
          if (step.evidence.kind === 'closed') open.delete(subject)

          assert.equal(group.members, open.size)
          assert.equal(group.ejected, [...open].filter((health) => health.trialAt !== undefined).length)
          if (group.ejected > ejectedBefore) {
            assert.ok(group.ejected <= group.members / 2, `${group.ejected} of ${group.members} ejected`)
          }
          for (const [index, health] of all.entries()) {
            const state = health.state(now)
            const weight = health.weight(now)
            assert.ok(weight >= 0 && weight <= 1)
            assert.equal(weight > 0, health.admits(now))
            if (state === 'healthy' || state === 'degraded') assert.ok(weight > 0)
            if (state === 'degraded') assert.ok(weight <= 0.5)
            if (state === 'draining') assert.equal(weight, 0)
            if (health !== subject) assert.equal(state, before[index])
            if (health.trialAt === undefined) continue
            const isTrialDue = state === 'ejected' && now >= health.trialAt
            if (health.admits(now)) assert.ok(isTrialDue || group.isOver)
          }
        }
        /* The agent is well again and says so: every connection comes back, one trial each. */
        for (const health of open)
          give(health, { kind: 'reported', state: 'healthy', validForMs: undefined }, now)
        now += settings.maxPauseMs + settings.trialTimeoutMs
        for (const health of open) {
          assert.equal(health.admits(now), true)
          health.leased(now)
          for (let count = 0; count < 60; count++) health.replied(now)
          assert.equal(health.state(now), 'healthy')
        }
        assert.equal(group.ejected, 0)
      }),
      { numRuns: 1000 },
    )
  })

  it('has one trial out at a time', () => {
    const step = fc.constantFrom('lease', 'fail', 'withdraw', 'wait')
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.nat(), (steps, seed) => {
        const group = new EjectionGroup(1)
        const health = new Health(healthSettings({ trialTimeoutMs: 1e9 }), group, seededRandom(seed), 0)
        for (let count = 0; count < 3; count++) health.failed(0)
        let now = 0
        let out = 0
        for (const action of steps) {
          if (action === 'wait') now += 700
          if (action === 'lease' && health.admits(now)) {
            health.leased(now)
            out++
          }
          if (action === 'fail' && out > 0) {
            health.failed(now)
            out--
          }
          if (action === 'withdraw' && out > 0) {
            health.withdrawn()
            out--
          }
          assert.ok(out <= 1)
        }
      }),
    )
  })
})

describe('ejection share', () => {
  it('never allows more than the share, and all of it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 0, max: 100 }), (total, percent) => {
        const share = percent / 100
        let ejected = 0
        while (ejected < total && ejectionAllowed(ejected, total, share)) ejected++
        assert.equal(ejected, Math.floor((total * percent) / 100))
      }),
    )
  })

  it('allows two of four, one of three, none of one', () => {
    assert.equal(ejectionAllowed(1, 4, 0.5), true)
    assert.equal(ejectionAllowed(2, 4, 0.5), false)
    assert.equal(ejectionAllowed(0, 3, 0.5), true)
    assert.equal(ejectionAllowed(1, 3, 0.5), false)
    assert.equal(ejectionAllowed(0, 1, 0.5), false)
  })
})
