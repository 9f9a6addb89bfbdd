import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { BanBook } from '../../src/proxy/limits/ban-book.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { openStore } from '../store/support.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'
import { UnsteadyStore } from './unsteady-store.ts'

describe('bans', () => {
  it('are seen by another process on the same file, and so are their lifts', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const clock = new FakeClock()
    const book = async (): Promise<BanBook> =>
      new BanBook(new SqliteLimitStore(await openStore(test, { path }), clock), clock)
    const [here, there] = [await book(), await book()]
    await here.ban({ agent: 'waf', reason: 'loops', author: 'ops' })
    assert.equal(there.find('waf'), undefined)
    await there.refresh()
    assert.equal(there.find('waf')?.reason, 'loops')
    await here.unban('waf', 'fixed', 'ops')
    await there.refresh()
    assert.equal(there.find('waf'), undefined)
  })

  it('are lifted from elsewhere also in a process that never read one', async () => {
    const store = new MemoryLimitStore()
    const clock = new FakeClock()
    const [here, there] = [new BanBook(store, clock), new BanBook(store, clock)]
    await here.refresh()
    await here.ban({ agent: 'waf', reason: '', author: 'ops' })
    await there.unban('waf', '', 'ops')
    await there.ban({ agent: 'pii', reason: '', author: 'ops' })
    await here.refresh()
    assert.equal(here.find('waf'), undefined)
    assert.ok(here.find('pii'))
  })

  it('stay when they could not be written, whatever the store tells', async () => {
    const store = new UnsteadyStore()
    const book = new BanBook(store, new FakeClock())
    store.mode = 'failing'
    await assert.rejects(book.ban({ agent: 'waf', reason: '', author: 'ops' }), /in this process only/)
    store.mode = 'steady'
    await book.refresh()
    assert.ok(book.find('waf'))
  })

  it('that are durable outlast a shorter order that could not be written, or that ended before the answer', async () => {
    for (const isSlow of [false, true]) {
      const [store, clock] = [new UnsteadyStore(), new FakeClock()]
      const book = new BanBook(store, clock)
      await book.ban({ agent: 'waf', reason: 'for good', author: 'ops' })
      await book.refresh()
      store.mode = isSlow ? 'stalled' : 'failing'
      const order = book.ban({ agent: 'waf', reason: 'a minute', author: 'ops', durationMs: 60_000 })
      if (!isSlow) await assert.rejects(order, /the longer one before it/)
      clock.advance(60_001)
      assert.equal(book.find('waf')?.reason, 'for good')
      store.mode = 'steady'
      if (isSlow) await order
      await book.refresh()
      assert.equal(book.find('waf')?.reason, isSlow ? undefined : 'for good')
    }
  })

  it('outlast several shorter orders at once that fail, but not their own lift meanwhile', async () => {
    const [store, clock] = [new UnsteadyStore(), new FakeClock()]
    const [book, other] = [new BanBook(store, clock), new BanBook(store.inner, clock)]
    for (const agent of ['waf', 'pii']) await book.ban({ agent, reason: 'for good', author: 'ops' })
    await book.refresh()
    const failures: ((error: Error) => void)[] = []
    store.changeBan = () => new Promise((_, reject) => failures.push(reject))
    const orders = ['waf', 'waf', 'pii'].map((agent) =>
      book.ban({ agent, reason: 'a minute', author: 'ops', durationMs: 60_000 }),
    )
    await other.unban('pii', '', 'ops')
    await book.refresh()
    for (const fail of failures) fail(new Error('the disk is gone'))
    for (const { status } of await Promise.allSettled(orders)) assert.equal(status, 'rejected')
    clock.advance(60_001)
    assert.equal(book.find('waf')?.reason, 'for good')
    assert.equal(book.find('pii'), undefined)
  })

  it('are in force before they are durable', async () => {
    const store = new UnsteadyStore()
    const book = new BanBook(store, new FakeClock())
    store.mode = 'stalled'
    const ban = book.ban({ agent: 'waf', reason: '', author: 'ops' })
    assert.ok(book.find('waf'))
    store.mode = 'steady'
    assert.equal((await ban).revision, 1)
  })

  it('are lifted only once the lift is durable', async () => {
    const store = new UnsteadyStore()
    const book = new BanBook(store, new FakeClock())
    await book.ban({ agent: 'waf', reason: '', author: 'ops' })
    store.mode = 'stalled'
    const lift = book.unban('waf', '', 'ops')
    assert.ok(book.find('waf'))
    store.mode = 'steady'
    await lift
    assert.equal(book.find('waf'), undefined)
  })

  it('do not come back from an answer that is older than their lift', async () => {
    const inner = new MemoryLimitStore()
    let old: ReturnType<MemoryLimitStore['bansSince']> | undefined
    const store = Object.assign(Object.create(inner) as MemoryLimitStore, {
      settle: inner.settle.bind(inner),
      changeBan: inner.changeBan.bind(inner),
      banHistory: inner.banHistory.bind(inner),
      expireIdle: inner.expireIdle.bind(inner),
      bansSince: (revision: number) => old ?? inner.bansSince(revision),
    })
    const book = new BanBook(store, new FakeClock())
    await book.ban({ agent: 'waf', reason: '', author: 'ops' })
    old = Promise.resolve(await inner.bansSince(0))
    await book.unban('waf', '', 'ops')
    await book.refresh()
    assert.equal(book.find('waf'), undefined)
  })

  it('are not written into a new file by one process after another one lifted them there', async () => {
    const [store, clock] = [new UnsteadyStore(), new FakeClock()]
    const [here, there] = [new BanBook(store, clock), new BanBook(store, clock)]
    await here.refresh()
    for (const agent of ['waf', 'pii']) await here.ban({ agent, reason: '', author: 'ops' })
    await here.refresh()
    await there.refresh()
    store.forget()
    here.rewrite()
    await here.refresh()
    clock.advance(10)
    await here.unban('waf', '', 'ops')
    there.rewrite()
    await there.refresh()
    await here.refresh()
    for (const book of [here, there])
      assert.deepEqual(
        book.list().map(({ agent }) => agent),
        ['pii'],
      )
    assert.deepEqual(
      (await store.bansSince(0)).map(({ agent }) => agent),
      ['pii'],
    )
  })

  it('end by themselves when they are timed, also after a restart', async () => {
    const store = new MemoryLimitStore()
    const clock = new FakeClock()
    await new BanBook(store, clock).ban({ agent: 'waf', reason: '', author: 'ops', durationMs: 1000 })
    clock.advance(400)
    const restarted = new BanBook(store, clock)
    await restarted.refresh()
    assert.equal(restarted.find('waf')?.remainingMs, 600)
    assert.equal(restarted.list().length, 1)
    clock.advance(600)
    assert.equal(restarted.find('waf'), undefined)
    assert.deepEqual(restarted.list(), [])
  })

  it('need a name and a length that make sense', async () => {
    const book = new BanBook(new MemoryLimitStore(), new FakeClock())
    const wrong = [{ agent: '' }, { agent: 'x'.repeat(513) }, { durationMs: 0 }, { durationMs: Number.NaN }]
    for (const parts of wrong)
      await assert.rejects(book.ban({ agent: 'waf', reason: '', author: 'ops', ...parts }), {
        code: 'INVALID_ARGUMENT',
      })
    assert.equal(book.size, 0)
  })
})
