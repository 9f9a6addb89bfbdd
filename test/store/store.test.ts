import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import SqliteDatabase from 'better-sqlite3'
import type { BanChangeRow } from '../../src/store/limits/ban-ops.ts'
import { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { openStore } from './support.ts'

function ban(agent: string): BanChangeRow {
  return { agent, action: 'ban', reason: 'loud', author: 'ops', atWallMs: 1, untilWallMs: undefined }
}

describe('store', () => {
  it('keeps what it acknowledged when it is opened again', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const first = await Store.open({ path })
    const record = await first.call('changeBan', ban('waf'))
    await first.close()
    const second = await openStore(test, { path })
    assert.deepEqual(await second.call('bansSince', 0), [record])
  })

  it('answers requests in the order in which they were made, whatever shares a commit', async (test) => {
    const store = await openStore(test, { maxBatch: 7 })
    const records = await Promise.all(
      Array.from({ length: 50 }, (_, index) => store.call('changeBan', ban(`agent ${index}`))),
    )
    assert.deepEqual(
      records.map((record) => record.revision),
      Array.from({ length: 50 }, (_, index) => index + 1),
    )
  })

  it('shows one process what another committed', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const one = await openStore(test, { path })
    const other = await openStore(test, { path })
    await one.call('changeBan', ban('waf'))
    assert.equal((await other.call('bansSince', 0)).length, 1)
  })

  it('finishes what was asked for before it closes, and refuses the rest', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const store = await Store.open({ path })
    const pending = store.call('changeBan', ban('waf'))
    const closed = store.close()
    assert.equal((await pending).revision, 1)
    await closed
    assert.equal(store.isOpen, false)
    assert.equal(store.close(), closed)
    await assert.rejects(store.call('bansSince', 0), { code: 'STORAGE', message: /the store is closed/ })
  })

  it('refuses requests beyond its queue instead of growing without bound', async (test) => {
    const store = await openStore(test, { maxPending: 2 })
    const first = store.call('bansSince', 0)
    const second = store.call('bansSince', 0)
    await assert.rejects(store.call('bansSince', 0), { code: 'STORAGE', message: /does not keep up/ })
    await Promise.all([first, second])
    assert.deepEqual(await store.call('bansSince', 0), [])
  })

  it('writes ahead to a log, so that readers and writers do not block each other', async (test) => {
    const store = await openStore(test)
    const other = new SqliteDatabase(store.path, { readonly: true })
    test.after(() => other.close())
    assert.equal(other.pragma('journal_mode', { simple: true }), 'wal')
  })

  it('keeps the sessions of an agent until they expire', async (test) => {
    const store = await openStore(test)
    const row = { agent: 'waf', session: 's1', target: 'endpoint-1', expiresWallMs: 100 }
    const other = { ...row, session: 's2', expiresWallMs: 50 }
    await store.call('saveSessions', [row, other, { ...row, agent: 'auth' }])
    assert.deepEqual(await store.call('loadSessions', { agent: 'waf', wallMs: 50 }), [row])
    await store.call('saveSessions', [{ ...row, target: 'endpoint-2' }])
    await store.call('deleteSessions', [{ agent: 'auth', session: 's1' }])
    assert.deepEqual(await store.call('loadSessions', { agent: 'auth', wallMs: 0 }), [])
    assert.equal(await store.call('expireSessions', { wallMs: 60, limit: 10 }), 1)
    assert.deepEqual(await store.call('loadSessions', { agent: 'waf', wallMs: 0 }), [
      { ...row, target: 'endpoint-2' },
    ])
  })
})
