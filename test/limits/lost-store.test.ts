import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { Store } from '../../src/store/store.ts'
import { watchThreads } from '../store/store-threads.ts'
import { holdWriteLock, openStore } from '../store/support.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { type Admission, worstExcess } from './crash-rules.ts'
import { admitted, denied, makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('limiter whose store lost what it held', () => {
  it('grants no second burst: what buckets in memory spent is booked in the new store', async () => {
    const store = new UnsteadyStore()
    const clock = new FakeClock()
    const rules = [rule(0, 10)]
    const limiter = makeLimiter({ clock, store, rules })
    assert.equal(await admitted(limiter, 6), 6)
    await turns()
    store.forget()
    assert.equal(await admitted(limiter, 50), 0, 'another process may not have booked yet what it spent')
    clock.advance(2500)
    await turns()
    assert.equal(await admitted(limiter, 50), 4)
    const other = makeLimiter({ clock, store, rules })
    assert.equal(await admitted(other, 50), 0)
  })

  it('books also what nobody asks for any more, with the next checkpoint', async () => {
    const store = new UnsteadyStore()
    const clock = new FakeClock()
    const rules = [rule(0, 10)]
    const limiter = makeLimiter({ clock, store, rules })
    assert.equal(await admitted(limiter, 7), 7)
    await limiter.checkpoint()
    await turns()
    store.forget()
    await limiter.checkpoint()
    await limiter.drain()
    const other = makeLimiter({ clock, store, rules })
    const rest = await admitted(other, 50)
    assert.ok(rest <= 3 && rest >= 2, `${rest} passed of 3`)
  })

  it('books also what buckets on their way out of the memory spent', async () => {
    const store = new UnsteadyStore()
    const clock = new FakeClock()
    const rules = [rule(0, 10)]
    const limiter = makeLimiter({ clock, store, rules, capacity: 1 })
    assert.equal(await admitted(limiter, 7, { agent: 'a' }), 7)
    await turns()
    store.mode = 'failing'
    await limiter.check(request({ agent: 'b' }))
    await turns()
    assert.equal(limiter.stats.store.isFailing, true)
    store.forget()
    await turns()
    store.mode = 'steady'
    await limiter.drain()
    const [facts] = await store.look(['a\nevents\n'], clock.now())
    assert.equal(facts?.remaining, 3)
  })

  it('counts as spent only what was not refilled since', async () => {
    const store = new UnsteadyStore()
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, store, rules: [rule(1, 10)] })
    assert.equal(await admitted(limiter, 10), 10)
    await turns()
    clock.advance(4000)
    store.forget()
    await turns()
    clock.advance(2500)
    await turns()
    assert.equal(await admitted(limiter, 50), 6)
  })

  it('writes the bans in force into it, with reason, author and end, and no lifted one', async () => {
    const store = new UnsteadyStore()
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, store, rules: [] })
    await limiter.start()
    await limiter.bans.ban({ agent: 'loud', reason: 'loops', author: 'ops' })
    const timed = await limiter.bans.ban({
      agent: 'soon',
      reason: 'rest',
      author: 'rule',
      durationMs: 60_000,
    })
    await limiter.bans.ban({ agent: 'good', reason: 'mistake', author: 'ops' })
    await limiter.bans.unban('good', '', 'ops')
    await turns()
    store.forget()
    assert.equal((await denied(limiter.check(request({ agent: 'loud' })))).code, 'BANNED')
    await turns()
    const kept = await store.bansSince(0)
    assert.deepEqual(
      kept.map(({ agent, reason, author, untilWallMs }) => [agent, reason, author, untilWallMs]),
      [
        ['loud', 'loops', 'ops', undefined],
        ['soon', 'rest', 'rule', timed.untilWallMs],
      ],
    )
    clock.advance(1000)
    await turns()
    assert.equal((await store.banHistory(undefined, 10)).length, 2, 'each was written once')
    await limiter.bans.unban('loud', '', 'ops')
    assert.ok((await limiter.check(request({ agent: 'loud' }))).allowed)
    await limiter.drain()
  })
})

describe('limiter on a file that is deleted', () => {
  it('keeps the limit and the bans over the deletion, and writes both into the new file', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const store = await openStore(test, { path })
    const rules = [rule(0, 10)]
    const parts = { clock: systemClock, rules, storeTimeoutMs: 5000, onStoreFailure: 'deny' as const }
    const limiter = makeLimiter({ ...parts, store: new SqliteLimitStore(store, systemClock) })
    test.after(() => limiter.drain())
    await limiter.start()
    await limiter.bans.ban({ agent: 'loud', reason: 'loops', author: 'ops' })
    let passed = await admitted(limiter, 6)
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`)
    await eventually('the store was opened anew', async () => {
      passed += await admitted(limiter, 1)
      return store.health.replacements === 1
    })
    await eventually('the store answers again', () => !limiter.stats.store.isFailing)
    passed += await admitted(limiter, 50)
    assert.equal(passed, 10)
    await eventually('what was spent is booked', () => limiter.stats.store.backlog === 0)
    const elsewhere = await openStore(test, { path })
    const second = makeLimiter({ ...parts, store: new SqliteLimitStore(elsewhere, systemClock) })
    test.after(() => second.drain())
    await second.start()
    assert.equal((await denied(second.check(request({ agent: 'loud' })))).reason, 'loops')
    assert.equal(await admitted(second, 20), 0)
  })

  it('never admits the burst twice, though another process still writes into the deleted file', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const parts = {
      clock: systemClock,
      rules: [rule(0, 100)],
      storeTimeoutMs: 5000,
      onStoreFailure: 'deny' as const,
    }
    const stores = [await openStore(test, { path }), await openStore(test, { path })]
    const [late, early] = stores.map((store) =>
      makeLimiter({ ...parts, store: new SqliteLimitStore(store, systemClock) }),
    )
    for (const limiter of [late!, early!]) {
      test.after(() => limiter.drain())
      await limiter.start()
    }
    let passed = await admitted(late!, 60)
    assert.equal(passed, 60)
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`)
    /* A ban is not acknowledged by a file without a name: this process looks at once, the other one with its next tick. */
    await assert.rejects(early!.bans.ban({ agent: 'loud', reason: 'loops', author: 'ops' }))
    await eventually('the first has a new file', () => stores[1]!.health.replacements === 1)
    await eventually('both have the new file, and are done with booking', async () => {
      passed += await admitted(early!, 5)
      passed += await admitted(late!, 1)
      return (
        [late!, early!].every(({ stats }) => !stats.store.isFailing) &&
        stores[0]!.isOpen &&
        stores[0]!.health.replacements === 1
      )
    })
    passed += (await admitted(early!, 150)) + (await admitted(late!, 150))
    assert.ok(passed <= 100, `${passed} of 100 passed`)
    assert.ok(passed >= 60, 'what was spent is known')
  })
})

describe('limiter whose store thread dies again and again', () => {
  it('applies its policy at once, admits at most burst + rate x elapsed over every window, and recovers', async (test) => {
    const threads = watchThreads(test)
    const store = await Store.open({ path: join(await temporaryFolder(test), 'weir.db'), random: () => 0 })
    test.after(() => store.close())
    const limit: LimitRule = rule(200, 40)
    const limiter = makeLimiter({
      clock: systemClock,
      store: new SqliteLimitStore(store, systemClock),
      rules: [limit],
      onStoreFailure: 'memory-only',
    })
    test.after(() => limiter.drain())
    await limiter.start()
    const admissions: Admission[] = []
    const giveUpAt = performance.now() + 30_000
    for (let kills = 0; kills < 3; ) {
      assert.ok(performance.now() < giveUpAt, 'the store did not come back')
      const beforeMs = performance.now()
      const verdict = await limiter.check(request())
      const afterMs = performance.now()
      assert.ok(afterMs - beforeMs < 1000, 'a check waited for the dead thread')
      if (verdict.allowed) admissions.push({ beforeMs, afterMs })
      await new Promise((resolve) => setImmediate(resolve))
      const isWhole = store.isOpen && store.health.losses === kills
      if (isWhole && admissions.length > 60 * (kills + 1)) {
        kills++
        void threads.at(-1)!.terminate()
      }
    }
    const excess = worstExcess(admissions, limit.ratePerSecond, limit.burst)
    assert.ok(excess <= 0.001, `${excess} tokens too many`)
    await eventually('the last loss was noticed', () => store.health.losses === 3)
    await eventually('the store answers again', () => store.isOpen && !limiter.stats.store.isFailing)
  })
})

describe('limiter that nobody asks anything', () => {
  it('notices a locked file all the same, says so once, and notices when it is free', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const store = await openStore(test, { path, busyTimeoutMs: 100 })
    const notices: string[] = []
    const limiter = makeLimiter({
      clock: systemClock,
      store: new SqliteLimitStore(store, systemClock),
      probe: { notice: (level, text) => void notices.push(`${level}: ${text}`) },
      storeTimeoutMs: 50,
    })
    test.after(() => limiter.drain())
    await limiter.start()
    const release = await holdWriteLock(test, path)
    await eventually('the lock was noticed', () => limiter.stats.store.failures > 2)
    assert.equal(limiter.stats.store.isFailing, true)
    await release()
    await eventually('the store answers again', () => !limiter.stats.store.isFailing)
    assert.equal(notices.length, 2, notices.join('\n'))
    assert.match(notices[0]!, /^error: limit store is out of reach/)
    assert.match(notices[1]!, /^info: limit store answers again/)
  })
})
