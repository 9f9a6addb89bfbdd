import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { BanBook } from '../../src/proxy/limits/ban-book.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { holdWriteLock, openStore } from '../store/support.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { makeLimiter } from './support.ts'

const OPS = { reason: 'L', author: 'ada' }

/** A book of its own on the file. */
async function bookOn(test: TestContext, path: string): Promise<BanBook> {
  const store = await openStore(test, { path, busyTimeoutMs: 50 })
  return new BanBook(new SqliteLimitStore(store, systemClock), systemClock)
}

async function freshPath(test: TestContext): Promise<string> {
  return join(await temporaryFolder(test), 'weir.db')
}

/** Bans under a lock that another process holds. */
async function banUnwritten(test: TestContext, path: string, book: BanBook, agent = 'waf'): Promise<void> {
  const release = await holdWriteLock(test, path)
  await assert.rejects(book.ban({ agent, ...OPS }), { code: 'STORAGE', message: /in this process only/ })
  await assert.rejects(book.refresh(), { code: 'STORAGE' })
  assert.equal(book.find(agent)?.isWritten, false)
  await release()
}

async function changesOf(book: BanBook, agent = 'waf'): Promise<readonly string[]> {
  return (await book.history(agent, 10)).map(({ action, author }) => `${action} by ${author}`)
}

describe('bans that a locked file kept from being written', () => {
  it('are marked, and written with the next refresh, once, by whom and when they were ordered', async (test) => {
    const path = await freshPath(test)
    const here = await bookOn(test, path)
    await here.refresh()
    const beforeMs = Date.now()
    await banUnwritten(test, path, here)
    const ban = here.find('waf')
    assert.ok(ban !== undefined && ban.atWallMs >= beforeMs)
    await here.refresh()
    await here.refresh()
    assert.equal(here.find('waf')?.isWritten, true)
    assert.deepEqual(await changesOf(here), ['ban by ada'])
    const there = await bookOn(test, path)
    await there.refresh()
    assert.deepEqual(
      [there.find('waf')?.author, there.find('waf')?.atWallMs, there.find('waf')?.isWritten],
      ['ada', ban.atWallMs, true],
    )
  })

  it('are not written after a lift, here or by another process, also where earlier changes are not read yet', async (test) => {
    for (const hasHistory of [false, true]) {
      const path = await freshPath(test)
      const [here, there] = [await bookOn(test, path), await bookOn(test, path)]
      if (hasHistory) {
        await there.ban({ agent: 'other', reason: '', author: 'bob' })
        for (const agent of ['waf', 'pii']) {
          await there.ban({ agent, reason: '', author: 'bob' })
          await there.unban(agent, '', 'bob')
        }
      }
      await here.refresh()
      for (const lifter of [here, there]) {
        await banUnwritten(test, path, here)
        await lifter.unban('waf', 'fixed', 'eve')
        await here.refresh()
        assert.equal(here.find('waf'), undefined)
        assert.equal((await changesOf(there))[0], 'unban by eve')
      }
      await banUnwritten(test, path, here, 'pii')
      await here.refresh()
      assert.equal(here.find('pii')?.isWritten, true, 'an older lift is no reason')
    }
  })

  it('are not written over a lift that comes between the look and the write', async (test) => {
    const path = await freshPath(test)
    const here = await bookOn(test, path)
    await here.ban({ agent: 'other', ...OPS })
    await here.refresh()
    await banUnwritten(test, path, here)
    await Promise.all([here.refresh(), here.unban('waf', '', 'eve')])
    await here.refresh()
    assert.equal(here.find('waf'), undefined)
    assert.equal((await changesOf(here))[0], 'unban by eve')
  })

  it('are not undone by what this process did before and has not read back yet', async (test) => {
    const path = await freshPath(test)
    const here = await bookOn(test, path)
    await here.ban({ agent: 'other', ...OPS })
    await here.refresh()
    await here.ban({ agent: 'waf', reason: 'first', author: 'bob' })
    await here.unban('waf', '', 'bob')
    await banUnwritten(test, path, here)
    await here.refresh()
    assert.equal(here.find('waf')?.isWritten, true)
    assert.deepEqual(await changesOf(here), ['ban by ada', 'unban by bob', 'ban by bob'])
  })

  it('give way to the ban that replaces them', async (test) => {
    const path = await freshPath(test)
    const here = await bookOn(test, path)
    await here.refresh()
    await banUnwritten(test, path, here)
    await here.ban({ agent: 'waf', reason: 'second', author: 'bob' })
    await here.refresh()
    assert.deepEqual(await changesOf(here), ['ban by bob'])
  })

  it('are written by the tick of a limiter that nobody asks anything', async (test) => {
    const path = await freshPath(test)
    const store = await openStore(test, { path, busyTimeoutMs: 50 })
    const limiter = makeLimiter({ clock: systemClock, store: new SqliteLimitStore(store, systemClock) })
    test.after(() => limiter.drain())
    await limiter.start()
    const release = await holdWriteLock(test, path)
    await assert.rejects(limiter.bans.ban({ agent: 'waf', ...OPS }), { code: 'STORAGE' })
    await release()
    await eventually('the ban is written', () => limiter.bans.find('waf')?.isWritten === true)
  })
})

describe('lifts', () => {
  it('that a locked file keeps from being written say that the ban stays in force', async (test) => {
    const path = await freshPath(test)
    const book = await bookOn(test, path)
    await book.ban({ agent: 'waf', ...OPS })
    const release = await holdWriteLock(test, path)
    await assert.rejects(book.unban('waf', '', 'ada'), {
      code: 'STORAGE',
      message: /^ban of "waf" stays in force, its lift was not written: /,
    })
    await assert.rejects(book.unban('pii', '', 'ada'), /unban of "pii" was not written: /)
    assert.ok(book.find('waf'))
    await release()
  })

  it('say whether there was a ban, also one that another process ordered just now', async (test) => {
    const path = await freshPath(test)
    const [here, there] = [await bookOn(test, path), await bookOn(test, path)]
    await here.refresh()
    await there.ban({ agent: 'waf', ...OPS })
    const found = []
    for (let turn = 0; turn < 2; turn++) found.push((await here.unban('waf', '', 'ada')).wasBanned)
    assert.deepEqual(found, [true, false])
  })
})
