import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LimitPlan } from '../../src/proxy/limits/limit-scopes.ts'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { admitted, makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

const BUCKETS = 5000

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function plan(burst: number): LimitPlan {
  return {
    agents: new Map([['waf', [rule(0, burst, { name: 'session', key: { by: 'session' } })]]]),
  }
}

async function withBuckets(
  count: number,
): Promise<{ limiter: Limiter; store: UnsteadyStore; clock: FakeClock }> {
  const [store, clock] = [new UnsteadyStore(), new FakeClock()]
  const { agents } = plan(10)
  const limiter = makeLimiter({ clock, store, agents, capacity: 2 * count, onStoreFailure: 'memory-only' })
  await limiter.start()
  for (let session = 0; session < count; session++)
    assert.equal(await admitted(limiter, 6, { sessionKey: `s${session}` }), 6)
  for (let step = 0; step < 5; step++) await turn()
  return { limiter, store, clock }
}

describe('reload of a limit with many buckets', () => {
  it('takes them out of memory some hundred per turn', async () => {
    const { limiter } = await withBuckets(BUCKETS)
    let size = BUCKETS
    let most = 0
    limiter.configure(plan(12))
    for (let turns = 0; size > 0; turns++) {
      assert.ok(turns < 1000, 'they stay')
      most = Math.max(most, size - limiter.stats.size)
      ;({ size } = limiter.stats)
      await turn()
    }
    assert.ok(most > 0 && most <= 512, `${most} left in one turn`)
    await limiter.drain()
  })

  for (const mode of ['steady', 'failing'] as const)
    it(`knows what each of them spent, whether it left or not, also after a second reload, while the store is ${mode}`, async () => {
      const { limiter, store } = await withBuckets(1500)
      store.mode = mode
      limiter.configure(plan(11))
      /* Of the first, the middle and the last third each: asked between the reloads, and not. */
      for (const session of [0, 700, 1499])
        assert.equal(await admitted(limiter, 20, { sessionKey: `s${session}` }), 5, `s${session}`)
      limiter.configure(plan(12))
      for (const session of [0, 700, 1499])
        assert.equal(await admitted(limiter, 20, { sessionKey: `s${session}` }), 1, `s${session}`)
      for (const session of [1, 701, 1498])
        assert.equal(await admitted(limiter, 20, { sessionKey: `s${session}` }), 6, `s${session}`)
    })

  it('gives all that they hold back, also those that a store out of reach kept in memory', async () => {
    const { limiter, store, clock } = await withBuckets(1500)
    store.mode = 'failing'
    await limiter.check(request({ sessionKey: 'another' }))
    clock.advance(1000)
    for (let step = 0; step < 5; step++) await turn()
    assert.equal(limiter.stats.store.isFailing, true)
    limiter.configure({ agents: new Map() })
    store.mode = 'steady'
    await eventually('all have left', async () => {
      clock.advance(1000)
      await turn()
      return limiter.stats.size === 0 && limiter.stats.store.backlog === 0
    })
    const keys = Array.from({ length: 1500 }, (_, session) => `waf\nsession\ns${session}`)
    const facts = await store.look(keys, clock.now())
    assert.deepEqual(
      facts.filter((one) => one?.remaining !== 4),
      [],
    )
    await limiter.drain()
  })
})
