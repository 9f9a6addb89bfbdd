import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { LimitScopes } from '../../src/proxy/limits/limit-scopes.ts'
import { rule } from './support.ts'

/** A plan of `count` agents; notes how often the key of one of its limits was looked at. */
function plan(count: number, burst: number, looks = { count: 0 }): ReadonlyMap<string, readonly LimitRule[]> {
  const watched = (): LimitRule => {
    const one = rule(1, burst)
    return Object.defineProperty({ ...one }, 'burst', {
      enumerable: true,
      get() {
        looks.count++
        return burst
      },
    })
  }
  return new Map(Array.from({ length: count }, (_, index) => [`agent ${index}`, [watched()]]))
}

describe('limits of many agents', () => {
  it('are compared once each at a reload, however many there are and whether or not they changed', () => {
    for (const burst of [10, 11]) {
      const looks = { count: 0 }
      const scopes = new LimitScopes()
      scopes.replace({ agents: plan(2000, 10, looks), defaults: [] })
      const atFirst = looks.count
      const gone = scopes.replace({ agents: plan(2000, burst, looks), defaults: [] })
      assert.ok(looks.count - atFirst <= 10 * 2000, `${looks.count - atFirst} looks at 2000 limits`)
      assert.equal(gone.length, burst === 10 ? 0 : 2000)
    }
  })

  it('keep their scope when they stay as they were, and their counts when they change', () => {
    const scopes = new LimitScopes()
    scopes.replace({ agents: plan(3, 10), defaults: [rule(1, 5)] })
    const [kept] = scopes.of('agent 1')
    kept!.counts.enforced = 7
    scopes.replace({ agents: plan(2, 10), defaults: [rule(1, 5)] })
    assert.equal(scopes.of('agent 1')[0], kept)
    const gone = scopes.replace({ agents: plan(2, 11), defaults: [rule(1, 5)] })
    assert.deepEqual(
      gone.map(({ agent }) => agent),
      ['agent 0', 'agent 1'],
    )
    assert.notEqual(scopes.of('agent 1')[0], kept)
    assert.equal(scopes.of('agent 1')[0]!.counts.enforced, 7)
  })
})
