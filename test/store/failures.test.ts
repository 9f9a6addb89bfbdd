import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { BanChangeRow } from '../../src/store/limits/ban-ops.ts'
import { Store } from '../../src/store/store.ts'
import { makeReadOnly, smallDisk } from '../support/small-disk.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { holdExclusively, openStore } from './support.ts'

function ban(index: number): BanChangeRow {
  const reason = 'x'.repeat(2000)
  return { agent: `a${index}`, action: 'ban', reason, author: 'ops', atWallMs: 1, untilWallMs: undefined }
}

/** Bans until the store refuses; the number of those that were acknowledged, and the error. */
async function banUntilRefused(store: Store, start = 0): Promise<{ count: number; error: Error }> {
  for (let index = start; index < start + 10_000; index++) {
    try {
      await store.call('changeBan', ban(index))
    } catch (error) {
      return { count: index - start, error: error as Error }
    }
  }
  throw new Error('the store took 10,000 bans')
}

async function closedStore(test: TestContext): Promise<string> {
  const path = join(await temporaryFolder(test), 'weir.db')
  const store = await Store.open({ path })
  for (let index = 0; index < 50; index++) await store.call('changeBan', ban(index))
  await store.close()
  return path
}

describe('store on a file that fails', () => {
  it('answers STORAGE with the file and the fix when it may not grow, and keeps what it acknowledged', async (test) => {
    const store = await openStore(test, { maxPages: 40 })
    const { count, error } = await banUntilRefused(store)
    assert.match(error.message, /weir\.db cannot grow: the disk is full .*free some space/)
    assert.ok(count > 0)
    assert.equal((await store.call('bansSince', 0)).length, count)
  })

  it('survives a full disk and goes on once there is space', async (test) => {
    const folder = await smallDisk(test, '1m')
    if (folder === undefined) {
      test.skip('mounting a file system is not allowed here')
      return
    }
    const ballast = join(folder, 'ballast')
    writeFileSync(ballast, Buffer.alloc(400_000))
    const store = await Store.open({ path: join(folder, 'weir.db') })
    try {
      const { count, error } = await banUntilRefused(store)
      assert.match(error.message, /disk|full|I\/O|written/)
      unlinkSync(ballast)
      await store.call('changeBan', ban(count))
      assert.equal((await store.call('bansSince', 0)).length, count + 1)
    } finally {
      await store.close()
    }
  })

  it('waits for a lock of another process up to its limit, then says who to look for', async (test) => {
    const path = await closedStore(test)
    const store = await openStore(test, { path, busyTimeoutMs: 50 })
    const other = await openStore(test, { path, busyTimeoutMs: 50 })
    assert.equal((await other.call('bansSince', 0)).length, 50)
    await store.close()
    await other.close()
    const release = await holdExclusively(test, path)
    await assert.rejects(Store.open({ path, busyTimeoutMs: 50 }), {
      code: 'STORAGE',
      message: /weir\.db is locked by another process \(SQLITE_BUSY/,
    })
    await release()
    const again = await openStore(test, { path })
    assert.equal((await again.call('bansSince', 0)).length, 50)
  })

  it('opens no damaged file, says so, and leaves every byte in place', async (test) => {
    const path = await closedStore(test)
    const size = statSync(path).size
    const file = openSync(path, 'r+')
    for (let page = 2; page * 4096 < size; page++)
      writeSync(file, Buffer.alloc(1000, 0xa5), 0, 1000, page * 4096)
    closeSync(file)
    const before = readFileSync(path)
    await assert.rejects(Store.open({ path }), {
      code: 'STORAGE',
      message: /weir\.db is damaged .*restore a backup.*nothing was deleted/,
    })
    assert.ok(readFileSync(path).equals(before))
  })

  it('opens nothing that is not a database, and leaves it in place', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    writeFileSync(path, 'dear diary, '.repeat(1000))
    await assert.rejects(Store.open({ path }), { code: 'STORAGE', message: /is not a SQLite database/ })
    assert.match(readFileSync(path, 'utf8'), /^dear diary/)
  })

  it('names the missing folder of a file that cannot be opened', async (test) => {
    const path = join(await temporaryFolder(test), 'no', 'weir.db')
    await assert.rejects(Store.open({ path }), { code: 'STORAGE', message: /no\/weir\.db.*folder/ })
  })

  it('refuses a file that cannot be written', async (test) => {
    const path = await closedStore(test)
    const isRoot = process.getuid?.() === 0
    const folder = isRoot ? await smallDisk(test, '8m') : await temporaryFolder(test)
    if (folder === undefined) {
      test.skip('root may write everywhere, and mounting a file system is not allowed here')
      return
    }
    const copy = join(folder, 'weir.db')
    copyFileSync(path, copy)
    if (isRoot) makeReadOnly(folder)
    else {
      chmodSync(copy, 0o444)
      chmodSync(folder, 0o555)
      test.after(() => chmodSync(folder, 0o755))
    }
    await assert.rejects(Store.open({ path: copy }), {
      code: 'STORAGE',
      message: /weir\.db cannot be (written|opened)/,
    })
  })
})
