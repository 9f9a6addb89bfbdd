import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { ALLOWED } from '../../src/proxy/limits/limit-gate.ts'
import type { LimitRule } from '../../src/proxy/limits/limit-rule.ts'
import type { Limiter } from '../../src/proxy/limits/limiter.ts'
import { denialHeaders } from '../../src/proxy/limits/rate-limit-headers.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { Store } from '../../src/store/store.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'
import { admitted, denied, everyAgent, type LimiterParts, makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

/** One process on the file: a limiter with a store thread of its own. `end` is the clean end, `close` is not. */
interface Process {
  readonly limiter: Limiter
  readonly store: Store
  end(): Promise<void>
}

async function processOn(
  test: TestContext,
  path: string,
  clock: FakeClock,
  parts: Omit<LimiterParts, 'clock' | 'store'>,
): Promise<Process> {
  const store = await Store.open({ path })
  test.after(() => store.close())
  const limitStore = new SqliteLimitStore(store, clock, { identity: 'test', offsetMs: 0 })
  /* The clock jumps while calls are on their way. */
  const limiter = makeLimiter({ storeTimeoutMs: 1e9, ...parts, clock, store: limitStore })
  await limiter.start()
  const end = async (): Promise<void> => {
    await limiter.drain()
    await store.close()
  }
  return { limiter, store, end }
}

async function newFile(test: TestContext): Promise<string> {
  return join(await temporaryFolder(test), 'weir.db')
}

/* One test per defect of the origin's limiter; README.md of proxy/limits has the same titles. */
describe('what the limiter this one learned from got wrong', () => {
  it('1: an agent that used its burst up is let through again by time alone', async () => {
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, rules: [rule(10, 5)] })
    assert.equal(await admitted(limiter, 20), 5)
    clock.advance(300)
    assert.equal(await admitted(limiter, 20), 3)
  })

  it('2: fractions of tokens add up, also while the agent is out of memory', async () => {
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, capacity: 1, rules: [rule(10, 10)] })
    await admitted(limiter, 10, { agent: 'a' })
    let late = 0
    for (let tick = 0; tick < 20; tick++) {
      clock.advance(50)
      late += await admitted(limiter, 1, { agent: 'a' })
      await admitted(limiter, 1, { agent: `agent ${tick}` })
    }
    assert.equal(late, 10)
  })

  it('3: a restart resumes with what was spent, and two processes share one bucket', async (test) => {
    const path = await newFile(test)
    const clock = new FakeClock()
    const parts = { rules: [rule(1, 100)] }
    const first = await processOn(test, path, clock, parts)
    assert.equal(await admitted(first.limiter, 60), 60)
    await first.end()
    clock.advance(10_000)
    const second = await processOn(test, path, clock, parts)
    const third = await processOn(test, path, clock, parts)
    const both = (await admitted(second.limiter, 30)) + (await admitted(third.limiter, 200))
    const rest = both + (await admitted(second.limiter, 200))
    assert.ok(rest <= 50, `${rest} events passed of 50`)
    /* A quarter of the burst may stay with a holder that rests; here no time passes in which it gives that back. */
    assert.ok(rest >= 25, `only ${rest} events passed of 50`)
  })

  it('4: a ban holds after a restart', async (test) => {
    const path = await newFile(test)
    const clock = new FakeClock()
    const first = await processOn(test, path, clock, { rules: [rule(1, 100)] })
    await first.limiter.bans.ban({ agent: 'waf', reason: 'loops', author: 'ops' })
    await first.store.close()
    const second = await processOn(test, path, clock, { rules: [rule(1, 100)] })
    assert.equal((await denied(second.limiter.check(request()))).code, 'BANNED')
    assert.equal(second.limiter.stats.bans, 1)
  })

  it('5: a store that fails is reported, counted, and never a reason to hand out a full bucket', async () => {
    const clock = new FakeClock()
    const store = new UnsteadyStore()
    const notices: string[] = []
    const probe = { notice: (_level: string, message: string) => void notices.push(message) }
    const limiter = makeLimiter({ clock, store, probe, rules: [rule(1, 100)] })
    store.mode = 'failing'
    const verdict = await limiter.check(request())
    assert.equal(verdict.allowed, false)
    await assert.rejects(limiter.bans.ban({ agent: 'x', reason: '', author: 'ops' }), {
      code: 'STORAGE',
      message: /in force in this process only, it was not written: the disk is gone/,
    })
    await assert.rejects(limiter.bans.unban('x', '', 'ops'), /the disk is gone/)
    assert.equal((await denied(limiter.check(request({ agent: 'x' })))).code, 'BANNED')
    assert.equal(limiter.stats.store.isFailing, true)
    assert.equal(limiter.stats.denials.store, 1)
    assert.match(notices.join('\n'), /limit store is out of reach: the disk is gone/)
  })

  it('6: checks, bans, lifts and statistics at once all finish', async (test) => {
    const clock = new FakeClock()
    const { limiter } = await processOn(test, await newFile(test), clock, {
      capacity: 3,
      rules: [rule(1, 9)],
    })
    const work: Promise<unknown>[] = []
    for (let index = 0; index < 200; index++) {
      const agent = `agent ${index % 7}`
      work.push(Promise.resolve(limiter.check(request({ agent }))))
      if (index % 5 === 0) work.push(limiter.bans.ban({ agent, reason: '', author: 'ops' }))
      if (index % 5 === 3) work.push(limiter.bans.unban(agent, '', 'ops'))
      assert.ok(limiter.stats.size <= 3)
    }
    assert.equal((await Promise.all(work)).length, 280)
  })

  it('7: concurrent first checks admit no more than the burst, and a ban during one wins', async (test) => {
    const clock = new FakeClock()
    const { limiter } = await processOn(test, await newFile(test), clock, { rules: [rule(0, 5)] })
    const first = Array.from({ length: 50 }, () => limiter.check(request({ agent: 'a' })))
    assert.ok(first[0] instanceof Promise, 'the first check did not wait for the store')
    const verdicts = await Promise.all(first.map((answer) => Promise.resolve(answer)))
    assert.equal(verdicts.filter((verdict) => verdict.allowed).length, 5)

    const waiting = limiter.check(request({ agent: 'b' }))
    const ban = limiter.bans.ban({ agent: 'b', reason: 'seen', author: 'ops' })
    const verdict = await waiting
    assert.ok(!verdict.allowed && verdict.code === 'BANNED')
    await ban
    assert.equal((await denied(limiter.check(request({ agent: 'b' })))).code, 'BANNED')
  })

  it('8: the agent used longest ago leaves the memory, without a store call in the turn of the check', async () => {
    const clock = new FakeClock()
    const store = new UnsteadyStore()
    const limiter = makeLimiter({ clock, store, capacity: 3, rules: [rule(0, 10)] })
    for (const agent of ['a', 'b', 'c']) await limiter.check(request({ agent }))
    await limiter.check(request({ agent: 'a' }))
    const before = store.settles
    const newcomer = limiter.check(request({ agent: 'd' }))
    assert.equal(store.settles, before)
    assert.equal(limiter.stats.evictions, 1)
    await newcomer
    for (const agent of ['a', 'c', 'd']) await limiter.check(request({ agent }))
    const { hits, misses } = limiter.stats
    await limiter.check(request({ agent: 'b' }))
    assert.deepEqual([limiter.stats.hits - hits, limiter.stats.misses - misses], [0, 1])
  })

  it('9: the memory never holds more agents than its capacity, whatever the store holds', async (test) => {
    const path = await newFile(test)
    const clock = new FakeClock()
    const parts = { capacity: 10, rules: [rule(1, 100)] }
    const first = await processOn(test, path, clock, parts)
    for (let index = 0; index < 50; index++) await first.limiter.check(request({ agent: `agent ${index}` }))
    assert.equal(first.limiter.stats.size, 10)
    await first.end()
    const second = await processOn(test, path, clock, parts)
    assert.equal(second.limiter.stats.size, 0)
    for (let index = 0; index < 50; index++) await second.limiter.check(request({ agent: `agent ${index}` }))
    assert.equal(second.limiter.stats.size, 10)
    second.limiter.resize(4)
    assert.equal(second.limiter.stats.size, 4)
  })

  it('10: the burst is what passes at once, and a changed limit reaches agents that were seen before', async (test) => {
    const clock = new FakeClock()
    const { limiter } = await processOn(test, await newFile(test), clock, { rules: [rule(1, 10)] })
    assert.equal(await admitted(limiter, 50), 10)
    await eventually('tokens on their way arrived', () => limiter.stats.store.backlog === 0)
    limiter.configure({ agents: everyAgent([rule(1, 25)]) })
    assert.equal(await admitted(limiter, 50), 15)
    await eventually('tokens on their way arrived', () => limiter.stats.store.backlog === 0)
    limiter.configure({ agents: everyAgent([rule(1, 5)]) })
    assert.equal(await admitted(limiter, 50), 0)
    clock.advance(2000)
    assert.equal(await admitted(limiter, 50), 2)
  })

  it('11: rate 0 never refills, a cost above the burst never waits, and no figure overflows', async () => {
    const clock = new FakeClock()
    const limits = [rule(0, 2)]
    const bytes = [rule(1e9, Number.MAX_SAFE_INTEGER, { cost: 'byte' })]
    const agents = new Map<string, readonly LimitRule[]>([
      ['never', limits],
      ['large', bytes],
    ])
    const limiter = makeLimiter({ clock, agents })
    assert.equal(await admitted(limiter, 5, { agent: 'never' }), 2)
    clock.advance(1e12)
    assert.equal((await denied(limiter.check(request({ agent: 'never' })))).retryAfterMs, undefined)
    const most = Number.MAX_SAFE_INTEGER
    assert.ok((await limiter.check(request({ agent: 'large', bytes: most }))).allowed)
    const verdict = await denied(limiter.check(request({ agent: 'large', bytes: most })))
    assert.ok(verdict.retryAfterMs! > 9e9 && Number.isFinite(verdict.retryAfterMs))
    const tooMuch = await denied(limiter.check(request({ agent: 'large', bytes: most * 2 })))
    assert.equal(tooMuch.retryAfterMs, undefined)
  })

  it('12: a ban and its lift refill nothing, and a denial says for how long and why', async () => {
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, rules: [rule(0, 10)] })
    assert.equal(await admitted(limiter, 8), 8)
    await limiter.bans.ban({ agent: 'waf', reason: 'loops', author: 'ops' })
    const forever = await denied(limiter.check(request()))
    assert.deepEqual([forever.code, forever.retryAfterMs, forever.reason], ['BANNED', undefined, 'loops'])
    await limiter.bans.unban('waf', 'fixed', 'ops')
    await limiter.bans.ban({ agent: 'waf', reason: 'again', author: 'ops', durationMs: 5000 })
    clock.advance(1000)
    clock.stepWall(-3_600_000)
    assert.equal((await denied(limiter.check(request()))).retryAfterMs, 4000)
    clock.advance(4000)
    assert.equal(await admitted(limiter, 8), 2)
    assert.deepEqual(
      (await limiter.bans.history('waf', 10)).map(({ action, reason }) => `${action} ${reason}`),
      ['ban again', 'unban fixed', 'ban loops'],
    )
  })

  it('13: a denial carries its headers, and buckets can be looked at, charged, refunded and forgotten', async () => {
    const clock = new FakeClock()
    const store = new MemoryLimitStore()
    const limiter = makeLimiter({ clock, store, rules: [rule(2, 10, { cost: 'byte' })] })
    assert.ok((await limiter.check(request({ bytes: 7 }))).allowed)
    assert.equal(limiter.peek(request())[0]!.remaining, 3)
    const verdict = await denied(limiter.check(request({ bytes: 7 })))
    assert.deepEqual(denialHeaders({ retryAfterMs: verdict.retryAfterMs, limit: verdict }), [
      'retry-after',
      '2',
      'ratelimit-policy',
      '"events";q=10;w=5',
      'ratelimit',
      '"events";r=3;t=4',
    ])
    limiter.refund({ ...request({ bytes: 7 }), startedAt: clock.now() }, ALLOWED)
    assert.equal(limiter.peek(request())[0]!.remaining, 10)
    await limiter.drain()
    assert.deepEqual(await store.expireIdle(clock.now()), { expired: 1, rows: 0 })
  })
})
