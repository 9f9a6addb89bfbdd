import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { LimitScopes } from '../../src/proxy/limits/limit-scopes.ts'
import { rule } from './support.ts'

function plan(count: number, burst: number): ReadonlyMap<string, readonly LimitRule[]> {
  return new Map(Array.from({ length: count }, (_, index) => [`agent ${index}`, [rule(1, burst)]]))
}

describe('limits of many agents', () => {
  it('are compared by name at a reload, not each with all the others', () => {
    const scopes = new LimitScopes()
    scopes.replace({ agents: plan(40_000, 10) })
    const before = process.cpuUsage()
    assert.equal(scopes.replace({ agents: plan(40_000, 11) }).length, 40_000)
    /* Of the processor: 0.2 s; a search through all of them for each takes 10 s. */
    const { user } = process.cpuUsage(before)
    assert.ok(user < 5_000_000, `${user} microseconds`)
  })

  it('keep their scope when they stay as they were, and their counts when they change', () => {
    const scopes = new LimitScopes()
    scopes.replace({ agents: plan(3, 10) })
    const [kept] = scopes.of('agent 1')
    kept!.counts.enforced = 7
    scopes.replace({ agents: plan(2, 10) })
    assert.equal(scopes.of('agent 1')[0], kept)
    const gone = scopes.replace({ agents: plan(2, 11) })
    assert.deepEqual(
      gone.map(({ agent }) => agent),
      ['agent 0', 'agent 1'],
    )
    assert.notEqual(scopes.of('agent 1')[0], kept)
    assert.equal(scopes.of('agent 1')[0]!.counts.enforced, 7)
  })
})
