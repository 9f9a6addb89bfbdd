import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ALLOWED, type LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { admitted, denied, makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

/** Turns of the event loop, for answers of a store to arrive. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('limiter', () => {
  it('answers the same shared object whenever it allows', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(1, 5)] })
    assert.equal(await limiter.check(request()), ALLOWED)
    assert.equal(limiter.check(request()), ALLOWED)
  })

  it('lets the burst through and says when the next event can pass', async () => {
    const clock = new FakeClock()
    const limiter = makeLimiter({ clock, rules: [rule(2, 10)] })
    for (let count = 0; count < 10; count++) assert.ok((await limiter.check(request())).allowed)
    const verdict = await denied(limiter.check(request()))
    assert.deepEqual(
      { ...verdict },
      {
        allowed: false,
        code: 'RATE_LIMITED',
        retryAfterMs: 500,
        limit: 10,
        ratePerSecond: 2,
        remaining: 0,
        resetMs: 5000,
        rule: 'events',
        shadow: false,
      },
    )
    clock.advance(499)
    assert.ok(!(await limiter.check(request())).allowed)
    clock.advance(1)
    assert.ok((await limiter.check(request())).allowed)
  })

  it('keeps agents apart', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 3)] })
    assert.equal(await admitted(limiter, 5, { agent: 'waf' }), 3)
    assert.equal(await admitted(limiter, 5, { agent: 'auth' }), 3)
  })

  it('uses the limits of each agent, and none when its list is empty or missing', async () => {
    const agents = new Map([
      ['waf', [rule(0, 2)]],
      ['free', []],
      ['other', [rule(0, 4)]],
    ])
    const limiter = makeLimiter({ clock: new FakeClock(), agents })
    assert.equal(await admitted(limiter, 9, { agent: 'waf' }), 2)
    assert.equal(await admitted(limiter, 9, { agent: 'free' }), 9)
    assert.equal(await admitted(limiter, 9, { agent: 'missing' }), 9)
    assert.equal(await admitted(limiter, 9, { agent: 'other' }), 4)
  })

  it('counts each tenant, client network, route and session of an agent apart', async () => {
    const cases = [
      [
        { by: 'header', name: 'x-tenant' } as const,
        { headers: { 'x-tenant': 'a' } },
        { headers: { 'x-tenant': 'b' } },
      ],
      [
        { by: 'client', ipv4Bits: 24, ipv6Bits: 64 } as const,
        { clientIp: '10.0.1.9' },
        { clientIp: '10.0.2.9' },
      ],
      [{ by: 'route' } as const, { routeName: 'api' }, { routeName: 'web' }],
      [{ by: 'session' } as const, { sessionKey: 's1' }, { sessionKey: 's2' }],
    ] as const
    for (const [key, one, other] of cases) {
      const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 2, { key })] })
      assert.equal(await admitted(limiter, 5, one), 2, key.by)
      assert.equal(await admitted(limiter, 5, other), 2, key.by)
      assert.equal(await admitted(limiter, 5, { ...one, agent: 'second' }), 2, key.by)
    }
  })

  it('counts clients of one network together', async () => {
    const key = { by: 'client', ipv4Bits: 24, ipv6Bits: 64 } as const
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 3, { key })] })
    assert.equal(await admitted(limiter, 2, { clientIp: '10.0.1.9' }), 2)
    assert.equal(await admitted(limiter, 2, { clientIp: '::ffff:10.0.1.200' }), 1)
    assert.equal(await admitted(limiter, 2, { clientIp: '2001:db8::1' }), 2)
    assert.equal(await admitted(limiter, 2, { clientIp: '2001:db8:0:0:ffff::1' }), 1)
  })

  it('charges bytes when the limit is in bytes, and nothing for an event without any', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 100, { cost: 'byte' })] })
    assert.ok((await limiter.check(request({ bytes: 60 }))).allowed)
    assert.ok(!(await limiter.check(request({ bytes: 60 }))).allowed)
    assert.ok((await limiter.check(request({ bytes: 40 }))).allowed)
    assert.ok((await limiter.check(request({ bytes: 0 }))).allowed)
  })

  it('denies an event that costs more than the burst for good, and says how to change that', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(10, 100, { cost: 'byte' })] })
    const verdict = await denied(limiter.check(request({ bytes: 101 })))
    assert.equal(verdict.retryAfterMs, undefined)
    assert.match(verdict.reason!, /cost 101 is above the burst 100 .* raise the burst/)
  })

  it('gives back what earlier limits took when a later one denies', async () => {
    const key = { by: 'route' } as const
    const rules = [rule(0, 10, { name: 'all' }), rule(0, 2, { name: 'route', key })]
    const limiter = makeLimiter({ clock: new FakeClock(), rules })
    assert.equal(await admitted(limiter, 5, { routeName: 'api' }), 2)
    assert.equal((await denied(limiter.check(request({ routeName: 'api' })))).rule, 'route')
    assert.equal(limiter.peek(request())[0]!.remaining, 8)
  })

  it('counts in shadow mode what it would have denied, and asks the caller to let it pass', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 1, { shadow: true })] })
    assert.ok((await limiter.check(request())).allowed)
    assert.equal((await denied(limiter.check(request()))).shadow, true)
    assert.equal(limiter.stats.denials.shadow, 1)
    assert.equal(limiter.stats.denials.rateLimited, 0)
  })

  it('enforces the next limit after one in shadow mode', async () => {
    const rules = [rule(0, 1, { name: 'soft', shadow: true }), rule(0, 2, { name: 'hard' })]
    const limiter = makeLimiter({ clock: new FakeClock(), rules })
    assert.ok((await limiter.check(request())).allowed)
    assert.equal((await denied(limiter.check(request()))).shadow, true)
    const verdict = await denied(limiter.check(request()))
    assert.equal(verdict.rule, 'hard')
    assert.equal(verdict.shadow, false)
  })

  it('refunds what was not used', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 2)] })
    assert.equal(await admitted(limiter, 2), 2)
    limiter.refund(request(), ALLOWED)
    assert.equal(await admitted(limiter, 2), 1)
  })

  it('lets no more than the burst pass at once after refunds of events from before the refill', async () => {
    const key = { by: 'route' } as const
    const limits = [rule(1, 10), rule(1, 10, { name: 'route', key })]
    for (const rules of [limits.slice(0, 1), limits]) {
      const clock = new FakeClock()
      const limiter = makeLimiter({ clock, rules })
      const asked = Array.from({ length: 10 }, () => ({ ...request(), startedAt: clock.now() }))
      const receipts: LimitVerdict[] = []
      for (const one of asked) receipts.push(await limiter.check(one))
      clock.advance(10_000)
      const passed = await admitted(limiter, 10)
      /* What was held ahead and evaporated may leave a fraction. */
      assert.ok(passed >= 9, `${passed} passed`)
      for (const [index, receipt] of receipts.entries()) {
        assert.ok(receipt.allowed)
        limiter.refund(asked[index]!, receipt)
      }
      assert.ok((await admitted(limiter, 10)) <= 10 - passed)
    }
  })

  it('gives nothing back for an event that its store let pass uncounted', async () => {
    const store = new UnsteadyStore()
    const limiter = makeLimiter({
      clock: new FakeClock(),
      store,
      rules: [rule(0, 100)],
      onStoreFailure: 'allow',
    })
    /* Little enough that it leaves a quarter of the burst to other holders. */
    assert.equal(await admitted(limiter, 20), 20)
    store.mode = 'failing'
    let verdict = await limiter.check(request())
    for (let events = 0; verdict === ALLOWED && events < 100; events++)
      verdict = await limiter.check(request())
    assert.ok(verdict.allowed && verdict !== ALLOWED, 'nothing passed uncounted')
    const before = limiter.peek(request())[0]!.remaining
    limiter.refund(request(), verdict)
    assert.equal(limiter.peek(request())[0]!.remaining, before)
  })

  it('gives back what counted limits took and nothing else, when one of several could not be asked', async () => {
    const store = new UnsteadyStore()
    const key = { by: 'route' } as const
    const rules = [rule(0, 100, { name: 'out of reach' }), rule(0, 1000, { name: 'held', key })]
    const limiter = makeLimiter({ clock: new FakeClock(), store, rules, onStoreFailure: 'allow' })
    for (let events = 0; events < 20; events++) await limiter.check(request({ routeName: 'r0' }))
    store.mode = 'failing'
    const remaining = (): readonly number[] =>
      limiter.peek(request({ routeName: 'r0' })).map((view) => view.remaining)
    const asked = request({ routeName: 'r0' })
    let before = remaining()
    let verdict = await limiter.check(asked)
    while (remaining()[0]! < before[0]!) {
      before = remaining()
      verdict = await limiter.check(asked)
    }
    assert.ok(verdict.allowed)
    assert.equal(remaining()[1], before[1]! - 1, 'the second limit was not charged')
    limiter.refund(asked, verdict)
    assert.deepEqual(remaining(), before)
  })

  it('pays a limit that let an event pass uncounted nothing when a later one denies', async () => {
    const store = new UnsteadyStore()
    const key = { by: 'route' } as const
    const rules = [rule(0, 100, { name: 'out of reach' }), rule(0, 5, { name: 'used up', key })]
    const limiter = makeLimiter({ clock: new FakeClock(), store, rules, onStoreFailure: 'allow' })
    assert.equal(await admitted(limiter, 20, { routeName: 'other' }), 5)
    assert.equal(await admitted(limiter, 20, { routeName: 'api' }), 5)
    store.mode = 'failing'
    for (let route = 0; route < 100; route++) await limiter.check(request({ routeName: `r${route}` }))
    const before = limiter.peek(request())[0]!.remaining
    assert.ok(before > 0, 'the first limit is used up')
    assert.equal((await denied(limiter.check(request({ routeName: 'api' })))).rule, 'used up')
    assert.equal(limiter.peek(request())[0]!.remaining, before)
  })

  it('gives back what enforced limits took from an event that only a limit in shadow mode denied', async () => {
    const rules = [rule(0, 9, { name: 'hard' }), rule(0, 1, { name: 'soft', shadow: true })]
    const limiter = makeLimiter({ clock: new FakeClock(), rules })
    assert.ok((await limiter.check(request())).allowed)
    const verdict = await denied(limiter.check(request()))
    assert.equal(verdict.shadow, true)
    assert.equal(limiter.peek(request())[0]!.remaining, 7)
    assert.ok(verdict.taken)
    limiter.refund(request(), verdict.taken)
    assert.equal(limiter.peek(request())[0]!.remaining, 8)
  })

  it('names agent, limit and field of a limit that cannot work, and keeps the old ones', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(0, 2)] })
    assert.throws(
      () => limiter.configure({ agents: new Map([['waf', [rule(-1, 5)]]]) }),
      /agents\.waf: limit "events": ratePerSecond -1 must be a number >= 0/,
    )
    assert.equal(await admitted(limiter, 5), 2)
  })

  it('counts a miss when a bucket is fetched and a hit afterwards', async () => {
    const limiter = makeLimiter({ clock: new FakeClock(), rules: [rule(1, 100)] })
    for (const agent of ['a', 'b', 'a', 'b', 'a']) await limiter.check(request({ agent }))
    const { size, hits, misses } = limiter.stats
    assert.deepEqual({ size, hits, misses }, { size: 2, hits: 3, misses: 2 })
  })
})

describe('limiter that shares its store', () => {
  it('sees tokens that another process gave back after it denied, also of a limit that never refills', async () => {
    const clock = new FakeClock()
    const store = new UnsteadyStore()
    const [here, there] = [1, 2].map(() => makeLimiter({ clock, store, rules: [rule(0, 100)] }))
    await here!.start()
    await there!.start()
    let passed = 0
    const free = async (): Promise<number> =>
      (await store.look(['waf\nevents\n'], clock.now()))[0]?.remaining ?? 100
    while ((await free()) > 0) {
      passed += await admitted(here!, 1)
      await turns()
    }
    assert.ok(passed < 100, 'nothing is left to be given back')
    assert.equal(await admitted(there!, 1), 0)
    await here!.drain()
    for (let second = 0; second < 4; second++) {
      clock.advance(1000)
      await turns()
      passed += await admitted(there!, 100)
    }
    assert.equal(passed, 100)
    await there!.drain()
  })
})

describe('limiters of one bucket that never refills', () => {
  it('lose no token between them, whoever asked last, and refunds included', async () => {
    const [clock, store] = [new FakeClock(), new UnsteadyStore()]
    const rules = [rule(0, 1000)]
    const limiters = [1, 2, 3].map(() => makeLimiter({ clock, store, rules }))
    let sent = 0
    for (let round = 0; round < 20; round++)
      for (const limiter of limiters) {
        const verdicts = []
        for (let event = 0; event < 4; event++) verdicts.push(await limiter.check(request()))
        await turns()
        for (const [index, verdict] of verdicts.entries()) {
          assert.ok(verdict.allowed)
          if (index > 0) limiter.refund(request(), verdict)
        }
        sent++
        if (round % 5 === 0) await limiter.checkpoint()
      }
    for (const limiter of limiters) await limiter.drain()
    const [facts] = await store.look(['waf\nevents\n'], clock.now())
    assert.equal(facts?.remaining, 1000 - sent)
    const last = makeLimiter({ clock, store, rules })
    assert.equal(await admitted(last, 1100), 1000 - sent)
  })
})

describe('limiter whose neighbour rests', () => {
  it('gets most of a small burst at once, and all that is left once the neighbour rested for a tick', async () => {
    const [clock, store] = [new FakeClock(), new UnsteadyStore()]
    const rules = [rule(10 / 60, 12)]
    const [resting, busy] = [1, 2].map(() => makeLimiter({ clock, store, rules }))
    for (const limiter of [resting!, busy!]) await limiter.start()
    assert.equal(await admitted(resting!, 1), 1)
    const free = async (): Promise<number> => (await store.look(['waf\nevents\n'], clock.now()))[0]!.remaining
    await turns()
    assert.ok((await free()) >= 12 - 1 - 12 / 4 - 1, `${await free()} tokens are left to others`)
    for (let second = 0; second < 2; second++) {
      clock.advance(1000)
      await turns()
    }
    assert.ok((await free()) > 11 + 2 / 6 - 1e-6, `${await free()} tokens are left to others`)
    assert.ok((await resting!.check(request())).allowed)
    assert.ok((await admitted(busy!, 12)) >= 7)
    await Promise.all([resting!.drain(), busy!.drain()])
  })
})

describe('limiter that ends', () => {
  it('gives every token back that was not used, of more buckets than may wait to be given back', async () => {
    const clock = new FakeClock()
    const store = new UnsteadyStore()
    const buckets = 101_000
    const limiter = makeLimiter({
      clock,
      store,
      capacity: buckets,
      rules: [rule(0, 100)],
      agentCount: buckets,
    })
    for (let first = 0; first < buckets; first += 1000) {
      const verdicts = []
      for (let index = 0; index < 1000; index++)
        verdicts.push(limiter.check(request({ agent: `agent ${first + index}` })))
      for (const verdict of verdicts) await verdict
    }
    await limiter.drain()
    const keys = Array.from({ length: buckets }, (_, index) => `agent ${index}\nevents\n`)
    const facts = await store.look(keys, clock.now())
    assert.equal(facts.filter((one) => one?.remaining !== 99).length, 0)
  })
})

describe('limiter whose memory is made smaller', () => {
  it('lets go of the buckets used longest ago in steps, and takes newcomers meanwhile', async () => {
    const limiter = makeLimiter({
      clock: new FakeClock(),
      capacity: 30_000,
      rules: [rule(1, 10)],
      agentCount: 30_000,
    })
    for (let index = 0; index < 30_000; index++) await limiter.check(request({ agent: `agent ${index}` }))
    limiter.resize(100)
    assert.equal(limiter.stats.size, 25_000, 'all of them left in one turn')
    await limiter.check(request({ agent: 'newcomer' }))
    assert.ok(limiter.stats.size < 25_000, 'a newcomer made the memory grow')
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(limiter.stats.size, 100)
    const { misses } = limiter.stats
    await limiter.check(request({ agent: 'newcomer' }))
    await limiter.check(request({ agent: 'agent 29999' }))
    assert.equal(limiter.stats.misses, misses)
  })

  it('applies another policy for a store out of reach from the next check on', async () => {
    const store = new UnsteadyStore()
    const limiter = makeLimiter({
      clock: new FakeClock(),
      store,
      rules: [rule(0, 5)],
      onStoreFailure: 'deny',
    })
    store.mode = 'failing'
    assert.equal(await admitted(limiter, 3), 0)
    limiter.onStoreFailure = 'memory-only'
    assert.equal(await admitted(limiter, 9), 5)
  })
})
