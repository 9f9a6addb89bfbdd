import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LimitKey } from '../../src/proxy/limits/limit-rule.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'
import { makeLimiter, request, rule } from './support.ts'
import { UnsteadyStore } from './unsteady-store.ts'

const CLIENT: LimitKey = { by: 'client', ipv4Bits: 32, ipv6Bits: 64 }
const TENANT: LimitKey = { by: 'header', name: 'x-tenant' }
const byClient = (burst: number) =>
  new Map([['waf', [rule(0, 100), rule(0, burst, { name: 'client', key: CLIENT })]]])

async function ask(limiter: ReturnType<typeof makeLimiter>, clientIp: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await limiter.check(request({ clientIp }))
}

test('a bucket that is not in memory is read from the store, and stays out of memory', async () => {
  const clock = new FakeClock()
  const store = new MemoryLimitStore()
  const before = makeLimiter({ clock, store, agents: byClient(10) })
  await ask(before, '10.0.0.7', 4)
  await before.drain()

  const limiter = makeLimiter({ clock, store, agents: byClient(10) })
  const [own, client] = await limiter.inspection.limits('waf')
  assert.equal(own?.bucket?.remaining, 96)
  assert.equal(own?.bucket?.from, 'store')
  assert.equal(client?.bucket, undefined, 'each client has one')
  assert.deepEqual(
    (await limiter.inspection.key('waf', '10.0.0.7')).map(({ key, remaining, from }) => [
      key,
      remaining,
      from,
    ]),
    [['10.0.0.7', 6, 'store']],
  )
  const [unknown] = await limiter.inspection.key('waf', '10.0.0.8')
  assert.deepEqual([unknown?.remaining, unknown?.from], [10, 'full'])
  const { size, hits, misses } = limiter.stats
  assert.deepEqual({ size, hits, misses }, { size: 0, hits: 0, misses: 0 })
})

test('a bucket in memory is shown as the next check would see it', async () => {
  const limiter = makeLimiter({ clock: new FakeClock(), agents: byClient(10) })
  await ask(limiter, '10.0.0.7', 12)
  const [client] = await limiter.inspection.key('waf', '10.0.0.7')
  assert.deepEqual([client?.remaining, client?.denials, client?.from], [0, 2, 'memory'])
  const limits = await limiter.inspection.limits('waf')
  assert.deepEqual(
    limits.map(({ rule: { name }, keys, denials, shadowDenials }) => [name, keys, denials, shadowDenials]),
    [
      ['events', 1, 0, 0],
      ['client', 1, 2, 0],
    ],
  )
})

test('the keys that were denied most come first, and only so many', async () => {
  const limiter = makeLimiter({ clock: new FakeClock(), agents: byClient(1) })
  for (let client = 1; client <= 40; client++) await ask(limiter, `10.0.0.${client}`, client)
  const { keys, isComplete } = await limiter.inspection.mostDenied('waf', 3)
  assert.deepEqual(
    keys.map(({ key, denials }) => [key, denials]),
    [
      ['10.0.0.40', 39],
      ['10.0.0.39', 38],
      ['10.0.0.38', 37],
    ],
  )
  assert.equal(isComplete, true)
})

test('the keys with least left are found in memory and in the store', async () => {
  const clock = new FakeClock()
  const store = new MemoryLimitStore()
  const agents = byClient(10)
  const before = makeLimiter({ clock, store, agents })
  for (let client = 1; client <= 9; client++) await ask(before, `10.0.0.${client}`, client)
  await before.drain()
  const limiter = makeLimiter({ clock, store, agents })
  await ask(limiter, '10.0.0.8', 1)
  const { keys } = await limiter.inspection.lowest('waf', 3)
  assert.deepEqual(
    keys.map(({ key, remaining, from }) => [key, remaining, from]),
    [
      ['10.0.0.8', 1, 'memory'],
      ['10.0.0.9', 1, 'store'],
      ['10.0.0.7', 3, 'store'],
    ],
  )
})

test('a limit that changes keeps what was counted, apart by what was enforced and what was not', async () => {
  const limiter = makeLimiter({
    clock: new FakeClock(),
    agents: new Map([['waf', [rule(0, 1, { shadow: true })]]]),
  })
  for (let event = 0; event < 4; event++) await limiter.check(request())
  limiter.configure({ agents: new Map([['waf', [rule(0, 1)]]]) })
  for (let event = 0; event < 2; event++) await limiter.check(request())
  assert.deepEqual(limiter.stats.limits, [{ agent: 'waf', limit: 'events', denials: 2, shadowDenials: 3 }])
})

test('a long look leaves turns of the event loop to others', async () => {
  const agents = new Map([['waf', [rule(1, 2, { name: 'tenant', key: TENANT })]]])
  const limiter = makeLimiter({ clock: new FakeClock(), capacity: 20_000, agents })
  for (let tenant = 0; tenant < 10_000; tenant++)
    void limiter.check(request({ headers: { 'x-tenant': `t${tenant}` } }))
  let turns = 0
  let isLooking = true
  const count = (): void => {
    turns++
    if (isLooking) setImmediate(count)
  }
  setImmediate(count)
  await limiter.inspection.mostDenied('waf', 5)
  isLooking = false
  assert.ok(turns >= 4, `${turns} turns`)
})

test('keys are only asked of an agent whose limits have keys', async () => {
  const limiter = makeLimiter({ clock: new FakeClock(), agents: new Map([['waf', [rule(1, 2)]]]) })
  await assert.rejects(limiter.inspection.key('waf', 'x'), { code: 'INVALID_ARGUMENT' })
  await assert.rejects(limiter.inspection.mostDenied('waf', 5), { code: 'INVALID_ARGUMENT' })
})

test('with the store out of reach the limits are shown as far as memory knows them', async () => {
  const store = new UnsteadyStore()
  const limiter = makeLimiter({ clock: new FakeClock(), store, agents: byClient(10) })
  await ask(limiter, '10.0.0.1', 3)
  store.mode = 'failing'
  const [own, client] = await limiter.inspection.limits('waf')
  assert.deepEqual([own?.bucket?.remaining, client?.keys], [97, 1])
  const unused = makeLimiter({ clock: new FakeClock(), store, agents: byClient(10) })
  assert.equal((await unused.inspection.limits('waf'))[0]?.bucket, undefined, 'unknown, not full')
  await assert.rejects(unused.inspection.key('waf', '10.0.0.2'))
})

test('a list of many agents leaves the event loop to the traffic in between, though all of it is in memory', async () => {
  const names = Array.from({ length: 2000 }, (_, index) => `agent ${index}`)
  const agents = new Map(names.map((name) => [name, [rule(1, 10)]]))
  const limiter = makeLimiter({ clock: new FakeClock(), capacity: 2000, agents })
  for (const agent of names) await limiter.check(request({ agent }))
  let turns = 0
  const count = (): void => {
    turns++
    counting = setImmediate(count)
  }
  let counting = setImmediate(count)
  const seen: string[] = []
  for await (const [agent, [events]] of limiter.inspection.limitsOfAll(names)) {
    assert.equal(events?.bucket?.remaining, 9)
    seen.push(agent)
  }
  clearImmediate(counting)
  assert.deepEqual(seen, names)
  assert.ok(turns >= 8, `${turns} turns`)
})

test('a look that fails for another reason than the store being out of reach fails', async () => {
  class BrokenStore extends UnsteadyStore {
    override look(): Promise<never> {
      return Promise.reject(new TypeError('a mistake in the program'))
    }
  }
  const limiter = makeLimiter({ clock: new FakeClock(), store: new BrokenStore(), rules: [rule(1, 10)] })
  await assert.rejects(limiter.inspection.limits('waf'), TypeError)
})

test('what is left after a reload is what the next checks get, before any of them as well', async () => {
  const [clock, store] = [new FakeClock(), new UnsteadyStore()]
  const of = (ratePerSecond: number, burst: number) => new Map([['waf', [rule(ratePerSecond, burst)]]])
  const limiter = makeLimiter({ clock, store, agents: of(1, 100) })
  await limiter.start()
  await ask(limiter, '10.0.0.7', 30)
  for (const [rate, burst, left, resetMs] of [
    [1, 200, 170, 30_000],
    [1, 20, 0, 20_000],
    [2, 35, 5, 15_000],
    [0, 100, 70, undefined],
  ] as const) {
    limiter.configure({ agents: of(rate, burst) })
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    const [own] = await limiter.inspection.limits('waf')
    assert.deepEqual([own?.bucket?.remaining, own?.bucket?.resetMs], [left, resetMs], `a burst of ${burst}`)
    assert.equal(own?.bucket?.from, 'store')
  }
  let passed = 0
  for (let event = 0; event < 100; event++) if ((await limiter.check(request())).allowed) passed++
  assert.equal(passed, 70)
})

test('the keys with least left after a reload are those of the new limit', async () => {
  const [clock, store] = [new FakeClock(), new UnsteadyStore()]
  const limiter = makeLimiter({ clock, store, agents: byClient(10) })
  await limiter.start()
  for (let client = 1; client <= 9; client++) await ask(limiter, `10.0.0.${client}`, client)
  limiter.configure({ agents: byClient(20) })
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  const { keys } = await limiter.inspection.lowest('waf', 2)
  assert.deepEqual(
    keys.map(({ key, remaining, from }) => [key, remaining, from]),
    [
      ['10.0.0.9', 11, 'store'],
      ['10.0.0.8', 12, 'store'],
    ],
  )
})
