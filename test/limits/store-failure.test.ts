import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import type { LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { holdWriteLock, openStore } from '../store/support.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { admitted, denied, everyAgent, type LimiterParts, makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

interface Setup {
  readonly clock: FakeClock
  readonly store: UnsteadyStore
  readonly limiter: Limiter
}

function setUp(parts: Omit<LimiterParts, 'clock' | 'store'>): Setup {
  const clock = new FakeClock()
  const store = new UnsteadyStore()
  return { clock, store, limiter: makeLimiter({ ...parts, clock, store }) }
}

/** Turns of the event loop, for answers of a store to arrive. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Makes the store stall and a first check run into the timeout. */
async function runIntoTimeout({ clock, store, limiter }: Setup): Promise<LimitVerdict> {
  store.mode = 'stalled'
  const waiting = limiter.check(request())
  assert.ok(waiting instanceof Promise)
  await turns()
  clock.advance(250)
  return await waiting
}

describe('limiter whose store is out of reach', () => {
  it('waits once for the timeout, and for nobody after that', async () => {
    const setup = setUp({ rules: [rule(1, 10)], storeTimeoutMs: 250 })
    assert.equal((await runIntoTimeout(setup)).allowed, false)
    assert.match((await denied(setup.limiter.check(request({ agent: 'other' })))).reason!, /out of reach/)
    assert.match(setup.limiter.stats.store.lastError!, /no answer within 250 ms/)
    assert.equal(setup.limiter.stats.store.failures, 1)
  })

  it('goes on spending the tokens it holds', async () => {
    const setup = setUp({ rules: [rule(0, 100)] })
    await setup.limiter.check(request({ agent: 'known' }))
    await runIntoTimeout(setup)
    assert.ok((await setup.limiter.check(request({ agent: 'known' }))).allowed)
  })

  it('allows and counts when the policy is allow', async () => {
    const setup = setUp({ rules: [rule(0, 1)], onStoreFailure: 'allow' })
    assert.equal((await runIntoTimeout(setup)).allowed, true)
    assert.equal(await admitted(setup.limiter, 5), 5)
    assert.equal(setup.limiter.stats.uncovered, 6)
  })

  it('keeps the limit by itself when the policy is memory-only, and books it once the store answers', async () => {
    const setup = setUp({ rules: [rule(0, 10)], onStoreFailure: 'memory-only' })
    const { clock, store, limiter } = setup
    await limiter.start()
    assert.equal((await runIntoTimeout(setup)).allowed, true)
    assert.equal(await admitted(limiter, 5), 5)
    store.mode = 'steady'
    clock.advance(760)
    await turns()
    assert.equal(limiter.stats.store.isFailing, false)
    await limiter.checkpoint()
    await limiter.drain()
    const restarted = makeLimiter({ clock, store, rules: [rule(0, 10)] })
    const rest = await admitted(restarted, 50)
    assert.ok(rest <= 4, `${rest} passed, 6 of 10 were spent`)
  })

  it('admits no more than its own burst while the policy is memory-only', async () => {
    const setup = setUp({ rules: [rule(0, 10)], onStoreFailure: 'memory-only' })
    assert.equal((await runIntoTimeout(setup)).allowed, true)
    assert.equal(await admitted(setup.limiter, 50), 9)
  })

  it('asks the store again as soon as a late answer shows that it is there', async () => {
    const setup = setUp({ rules: [rule(0, 10)] })
    await runIntoTimeout(setup)
    assert.equal(setup.limiter.stats.store.isFailing, true)
    setup.store.mode = 'steady'
    await turns()
    assert.equal(setup.limiter.stats.store.isFailing, false)
  })

  it('gives tokens back at a clean end although the store was too slow a moment before', async () => {
    const setup = setUp({ rules: [rule(0, 100)] })
    const { clock, store, limiter } = setup
    assert.equal(await admitted(limiter, 10, { agent: 'known' }), 10)
    await runIntoTimeout(setup)
    const drained = limiter.drain()
    await turns()
    /* Longer than a check may wait, while the trial is on its way. */
    clock.advance(1000)
    store.mode = 'steady'
    await drained
    const restarted = makeLimiter({ clock, store, rules: [rule(0, 100)] })
    assert.equal(await admitted(restarted, 200, { agent: 'known' }), 90)
  })

  it('never spends what an answer after the timeout grants', async () => {
    const setup = setUp({ rules: [rule(0, 10)] })
    await setup.limiter.start()
    await runIntoTimeout(setup)
    setup.store.mode = 'steady'
    await turns()
    setup.clock.advance(760)
    await turns()
    assert.equal(setup.limiter.stats.store.isFailing, false)
    const [facts] = await setup.store.look(['waf\nevents\n'], setup.clock.now())
    assert.ok(facts!.remaining < 10, 'the late answer granted nothing')
    assert.equal(await admitted(setup.limiter, 50), Math.floor(facts!.remaining))
  })

  it('counts in shadow mode what it would have denied, and nothing as denied', async () => {
    const setup = setUp({ rules: [rule(0, 10, { shadow: true })] })
    const verdict = await runIntoTimeout(setup)
    assert.ok(!verdict.allowed && verdict.shadow)
    const { denials, limits } = setup.limiter.stats
    assert.deepEqual(denials, { rateLimited: 0, banned: 0, shadow: 1, store: 0 })
    assert.equal(limits[0]?.shadowDenials, 1)
  })

  it('books what a bucket owes that left the memory, however often its return fails', async () => {
    for (const waiting of [false, true]) {
      const { clock, store, limiter } = setUp({
        capacity: 1,
        rules: [rule(0, 10)],
        onStoreFailure: 'memory-only',
      })
      await limiter.start()
      if (waiting) {
        store.mode = 'stalled'
        const first = Array.from({ length: 10 }, () => limiter.check(request({ agent: 'a' })))
        void limiter.check(request({ agent: 'b' }))
        await turns()
        clock.advance(250)
        for (const verdict of first) assert.ok((await verdict).allowed)
      } else {
        store.mode = 'failing'
        assert.equal(await admitted(limiter, 30, { agent: 'a' }), 10)
        await admitted(limiter, 1, { agent: 'b' })
      }
      const settle = store.settle.bind(store)
      let failures = 0
      store.settle = async (asks) => {
        if (failures === 2 || !asks.some(({ key }) => key.startsWith('a\n'))) return await settle(asks)
        failures++
        throw new Error('busy')
      }
      store.mode = 'steady'
      for (let second = 0; second < 5; second++) {
        clock.advance(1000)
        await turns()
      }
      assert.equal(failures, 2)
      assert.equal(limiter.stats.store.backlog, 0)
      assert.equal(await admitted(limiter, 30, { agent: 'a' }), 0, waiting ? 'waited' : 'took')
      assert.equal(await admitted(makeLimiter({ clock, store, rules: [rule(0, 10)] }), 30, { agent: 'a' }), 0)
    }
  })

  it('owes the store only what was not refilled since, however long the outage was', async () => {
    const { clock, store, limiter } = setUp({ rules: [rule(10, 10)], onStoreFailure: 'memory-only' })
    await limiter.start()
    store.mode = 'failing'
    let passed = 0
    for (let second = 0; second < 60; second++) {
      passed += await admitted(limiter, 20)
      clock.advance(1000)
      await turns()
    }
    assert.equal(passed, 600)
    store.mode = 'steady'
    clock.advance(1000)
    await turns()
    assert.equal(limiter.stats.store.isFailing, false)
    clock.advance(1000)
    await turns()
    const after = await admitted(limiter, 20)
    assert.ok(after >= 5 && after <= 10, `${after} passed`)
    await limiter.drain()
  })

  it('hands out no new burst after a reload, neither before the store answers again nor afterwards', async () => {
    const setup = setUp({ rules: [rule(0, 10)], onStoreFailure: 'memory-only' })
    const { clock, store, limiter } = setup
    await limiter.start()
    assert.equal(await admitted(limiter, 3), 3)
    store.mode = 'failing'
    assert.equal(await admitted(limiter, 30), 7)
    limiter.configure({ agents: everyAgent([rule(0, 11)]) })
    await turns()
    assert.equal(await admitted(limiter, 30), 1)
    store.mode = 'steady'
    for (let second = 0; second < 3; second++) {
      clock.advance(1000)
      await turns()
    }
    limiter.configure({ agents: everyAgent([rule(0, 12)]) })
    await turns()
    assert.equal(await admitted(limiter, 30), 1)
  })

  for (const mode of ['steady', 'failing'] as const)
    it(`forgives nothing when reloads lower a burst and raise it again, while the store is ${mode}`, async () => {
      const setup = setUp({ rules: [rule(1, 100)], onStoreFailure: 'memory-only' })
      const { clock, store, limiter } = setup
      await limiter.start()
      assert.equal(await admitted(limiter, 80), 80)
      await turns()
      store.mode = mode
      for (const burst of [20, 10, 30]) {
        limiter.configure({ agents: everyAgent([rule(1, burst)]) })
        await turns()
        assert.equal(await admitted(limiter, 30), 0, `a burst of ${burst}`)
      }
      limiter.configure({ agents: everyAgent([rule(1, 100)]) })
      await turns()
      assert.equal(await admitted(limiter, 100), 20)
      clock.advance(5000)
      await turns()
      assert.equal(await admitted(limiter, 100), 5)
    })

  it('keeps the event loop free while another process holds the file, and recovers', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const store = await openStore(test, { path, busyTimeoutMs: 100 })
    const limitStore = new SqliteLimitStore(store, systemClock)
    const limiter = makeLimiter({
      clock: systemClock,
      store: limitStore,
      rules: [rule(1, 100)],
      storeTimeoutMs: 50,
    })
    test.after(() => limiter.drain())
    await limiter.start()
    assert.equal((await limiter.check(request({ agent: 'first' }))).allowed, true)
    const release = await holdWriteLock(test, path)
    const startedAt = performance.now()
    assert.equal((await limiter.check(request({ agent: 'second' }))).allowed, false)
    assert.ok((await limiter.check(request({ agent: 'first' }))).allowed)
    assert.ok(performance.now() - startedAt < 2000)
    assert.equal(limiter.stats.store.isFailing, true)
    await release()
    await eventually('the store answers again', () => !limiter.stats.store.isFailing)
    assert.equal((await limiter.check(request({ agent: 'second' }))).allowed, true)
  })
})
