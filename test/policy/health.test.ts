import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { HealthReport, HealthState } from '../../src/core/agent-messages.ts'
import { seededRandom } from '../../src/core/random.ts'
import { EjectionGroup } from '../../src/policy/health/ejection-group.ts'
import { Health } from '../../src/policy/health/health.ts'
import type { HealthOptions } from '../../src/policy/health/health-options.ts'
import { healthSettings } from '../../src/policy/health/health-options.ts'

/** Four connections of one agent; two of them may be ejected. */
function four(options: HealthOptions = {}): Health[] {
  const group = new EjectionGroup()
  const settings = healthSettings(options)
  return [1, 2, 3, 4].map((seed) => new Health(settings, group, seededRandom(seed), 0))
}

const one = (options: HealthOptions = {}): Health => four(options)[0]!

function report(state: HealthState, facts: Partial<HealthReport> = {}): HealthReport {
  return { agentId: 'waf', state, timestampMs: 0, ...facts }
}

/** Fails until ejected; returns when its trial is due. */
function eject(health: Health, now: number): number {
  for (let count = 0; count < 3; count++) health.failed(now)
  assert.equal(health.state(now), 'ejected')
  return health.trialAt!
}

describe('health', () => {
  it('starts healthy with full weight', () => {
    const health = one()
    assert.equal(health.state(0), 'healthy')
    assert.equal(health.weight(0), 1)
    assert.equal(health.admits(0), true)
  })

  it('ejects on the third failure in a row and gives it nothing', () => {
    const health = one()
    health.failed(0)
    health.failed(0)
    assert.equal(health.admits(0), true)
    health.failed(0)
    assert.equal(health.state(0), 'ejected')
    assert.equal(health.admits(0), false)
    assert.equal(health.weight(0), 0)
  })

  it('ejects on a share of failures although none are in a row', () => {
    const health = one()
    for (let count = 0; count < 200 && health.admits(0); count++) {
      health.failed(0)
      health.failed(0)
      health.replied(0)
    }
    assert.equal(health.state(0), 'ejected')
  })

  it('degrades before it ejects, and lowers the weight more than the score', () => {
    const health = one()
    health.failed(0)
    assert.equal(health.state(0), 'healthy')
    assert.ok(health.weight(0) < 1)
    health.failed(0)
    assert.equal(health.state(0), 'degraded')
    assert.ok(health.weight(0) <= health.score(0) / 2)
  })

  it('stays degraded between the two thresholds, so it does not flap', () => {
    const health = one()
    health.failed(0)
    health.failed(0)
    while (health.score(0) <= 0.8) health.replied(0)
    assert.equal(health.state(0), 'degraded')
    while (health.score(0) <= 0.9) health.replied(0)
    assert.equal(health.state(0), 'healthy')
    health.failed(0)
    assert.ok(health.score(0) > 0.8)
    assert.equal(health.state(0), 'healthy')
  })

  it('recovers by time alone, to exactly full weight', () => {
    const health = one()
    health.failed(0)
    health.failed(0)
    assert.equal(health.state(5_000), 'degraded')
    assert.equal(health.state(60_000), 'healthy')
    assert.ok(health.weight(60_000) > 0.9)
    assert.equal(health.weight(300_000), 1)
  })

  it('lets one trial through when the pause is over, and no second one', () => {
    const health = one()
    const due = eject(health, 0)
    assert.ok(due >= 500 && due < 1000)
    assert.equal(health.admits(due - 0.001), false)
    assert.equal(health.admits(due), true)
    assert.ok(health.weight(due) > 0 && health.weight(due) < 1)
    health.leased(due)
    assert.equal(health.admits(due), false)
    assert.equal(health.weight(due), 0)
  })

  it('comes back degraded from a good trial', () => {
    const health = one()
    const due = eject(health, 0)
    health.leased(due)
    health.replied(due)
    assert.equal(health.state(due), 'degraded')
    assert.equal(health.admits(due), true)
    assert.ok(health.weight(due) < 0.5)
    for (let count = 0; count < 20; count++) health.replied(due)
    assert.equal(health.state(due), 'healthy')
  })

  it('pauses longer after each failed trial, with jitter, up to the ceiling', () => {
    const health = one({ pauseMs: 1000, maxPauseMs: 4000 })
    let now = eject(health, 0)
    for (const ceiling of [2000, 4000, 4000, 4000]) {
      assert.equal(health.admits(now), true)
      health.leased(now)
      health.failed(now)
      const pause = health.trialAt! - now
      assert.ok(pause >= ceiling / 2 && pause < ceiling, `${pause} of ${ceiling}`)
      now = health.trialAt!
    }
  })

  it('pauses briefly again once it was healthy in between, but not before', () => {
    const health = one({ pauseMs: 1000 })
    let now = eject(health, 0)
    health.leased(now)
    health.replied(now)
    const again = eject(health, now)
    assert.ok(again - now >= 1000)
    now = again
    health.leased(now)
    for (let count = 0; count < 30; count++) health.replied(now)
    assert.equal(health.state(now), 'healthy')
    assert.ok(eject(health, now) - now < 1000)
  })

  it('takes back the place of a trial that was cancelled or never ended', () => {
    const health = one({ trialTimeoutMs: 100 })
    const due = eject(health, 0)
    health.leased(due)
    health.withdrawn()
    assert.equal(health.admits(due), true)
    health.leased(due)
    assert.equal(health.admits(due + 99), false)
    assert.equal(health.admits(due + 100), true)
  })

  it('is not brought back by a late reply when it was ejected for failures', () => {
    const health = one()
    const due = eject(health, 0)
    health.replied(due - 1)
    assert.equal(health.state(due - 1), 'ejected')
  })

  it('ejects a connection whose pings go unanswered and takes it back with a pong', () => {
    const health = one()
    health.pingMissed(0)
    assert.equal(health.state(0), 'healthy')
    health.ponged(1)
    health.pingMissed(2)
    health.pingMissed(3)
    assert.equal(health.state(3), 'ejected')
    health.ponged(4)
    assert.equal(health.state(4), 'degraded')
  })

  it('ejects a connection that answers pings but no events, until a reply comes', () => {
    const health = one({ stallMs: 1000 })
    health.ponged(900)
    health.progressed(999, 1000)
    assert.equal(health.state(1000), 'healthy')
    health.progressed(1000, 1000)
    assert.equal(health.state(1000), 'ejected')
    health.ponged(1001)
    assert.equal(health.state(1001), 'ejected')
    health.replied(1002)
    assert.equal(health.state(1002), 'degraded')
  })

  it('does not take one slow event beside answered ones for a stall', () => {
    const health = one({ stallMs: 1000 })
    health.replied(4500)
    health.progressed(5000, 5000)
    assert.equal(health.state(5000), 'healthy')
  })

  it('never has more than half of the connections ejected at once', () => {
    const all = four()
    for (const health of all) for (let count = 0; count < 10; count++) health.failed(0)
    assert.equal(all.filter((health) => health.state(0) === 'ejected').length, 2)
    assert.equal(all.filter((health) => health.admits(0)).length, 2)
    assert.ok(all.every((health) => health.state(0) !== 'healthy'))
  })

  it('never ejects a lone connection, but degrades it', () => {
    const alone = new Health(healthSettings(), new EjectionGroup(), seededRandom(1), 0)
    for (let count = 0; count < 10; count++) alone.failed(0)
    assert.equal(alone.state(0), 'degraded')
    assert.equal(alone.admits(0), true)
    assert.ok(alone.weight(0) > 0)
  })

  it('lets ejected connections in again when the others are gone', () => {
    const [bad, ...others] = four()
    eject(bad!, 0)
    for (const other of others) other.close()
    assert.equal(bad!.state(0), 'ejected')
    assert.equal(bad!.admits(0), true)
    assert.ok(bad!.weight(0) > 0)
  })

  it('lets only the trial decide: events from before the ejection end during it and change nothing', () => {
    const health = one()
    const dueAt = eject(health, 100)
    health.leased(dueAt)
    health.withdrawn(50)
    assert.equal(health.admits(dueAt + 1), false, 'the trial is still out')
    health.failed(dueAt + 1, 60)
    health.failed(dueAt + 2, 70)
    assert.equal(health.trialAt, dueAt, 'late failures do not prolong the pause')
    health.replied(dueAt + 3, 80)
    assert.equal(health.state(dueAt + 3), 'ejected')
    health.replied(dueAt + 4, dueAt)
    assert.equal(health.state(dueAt + 4), 'degraded')
  })

  it('gives its place in the share back once when it is closed', () => {
    const [first, second, third] = four()
    eject(first!, 0)
    eject(second!, 0)
    first!.close()
    first!.close()
    first!.leased(10_000)
    first!.replied(10_000)
    third!.failed(0)
    third!.failed(0)
    third!.failed(0)
    assert.equal(third!.state(0), 'degraded')
    second!.close()
    third!.failed(0)
    assert.equal(third!.state(0), 'ejected')
  })
})

describe('health as the agent reports it', () => {
  it('sends nothing to an agent that says it is draining or unhealthy, until it says otherwise', () => {
    for (const [said, state] of [
      ['draining', 'draining'],
      ['unhealthy', 'ejected'],
    ] as const) {
      const health = one()
      health.reported(report(said), 0, 0)
      assert.equal(health.state(1e9), state)
      assert.equal(health.admits(1e9), false)
      assert.equal(health.weight(1e9), 0)
      health.replied(1e9)
      assert.equal(health.admits(1e9), false)
      health.reported(report('healthy'), 1e9, 0)
      assert.equal(health.state(1e9), 'healthy')
    }
  })

  it('goes back to our own judgement when the report runs out', () => {
    const health = one()
    health.reported(report('unhealthy', { timestampMs: 5000, validUntilMs: 6000 }), 100, 999_999)
    assert.equal(health.state(1099), 'ejected')
    assert.equal(health.state(1100), 'healthy')
    health.reported(report('unhealthy', { timestampMs: 0, validUntilMs: 6000 }), 2000, 5500)
    assert.equal(health.state(2499), 'ejected')
    assert.equal(health.state(2500), 'healthy')
  })

  it('ignores a report that was no longer valid when it was sent', () => {
    const health = one()
    health.reported(report('unhealthy', { timestampMs: 5000, validUntilMs: 4000 }), 0, 0)
    assert.equal(health.state(0), 'healthy')
  })

  it('halves the weight of a degraded agent and grants it the time it asks for, within bounds', () => {
    const health = one()
    health.reported(report('degraded', { timeoutMultiplier: 3 }), 0, 0)
    assert.equal(health.state(0), 'degraded')
    assert.equal(health.admits(0), true)
    assert.equal(health.weight(0), 0.5)
    assert.equal(health.timeoutMultiplier(0), 3)
    health.reported(report('degraded', { timeoutMultiplier: 1e6 }), 0, 0)
    assert.equal(health.timeoutMultiplier(0), 10)
    health.reported(report('healthy', { timeoutMultiplier: 3 }), 0, 0)
    assert.equal(health.timeoutMultiplier(0), 1)
  })

  it('does not let an agent talk itself out of an ejection', () => {
    const health = one()
    const due = eject(health, 0)
    health.reported(report('healthy'), 0, 0)
    assert.equal(health.state(due - 1), 'ejected')
  })
})
