import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BanChangeRow } from '../../src/store/limits/ban-ops.ts'
import { Store } from '../../src/store/store.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { openStore } from './support.ts'

const PAGE = 4096

function ban(agent: string): BanChangeRow {
  return { agent, action: 'ban', reason: 'loud', author: 'ops', atWallMs: 1, untilWallMs: undefined }
}

/** Writes over the live file in place: its inode stays. */
function overwrite(path: string, fromPage: number): void {
  const { size } = statSync(path)
  const file = openSync(path, 'r+')
  for (let at = fromPage * PAGE; at < size; at += PAGE) writeSync(file, Buffer.alloc(PAGE, 0xa5), 0, PAGE, at)
  closeSync(file)
}

/** More rows than a connection keeps in memory (16 MiB), all of them in the file and none in the log. */
async function largeFile(path: string): Promise<void> {
  const store = await Store.open({ path })
  for (let part = 0; part < 20; part++) {
    const rows = Array.from({ length: 900 }, (_, index) => ({
      agent: 'waf',
      session: `${part} ${index} ${'x'.repeat(1000)}`,
      target: 'here',
      expiresWallMs: 1e15,
    }))
    await store.call('saveSessions', rows)
  }
  await store.call('changeBan', ban('before'))
  await store.close()
}

function isRefused(store: Store): Promise<void> {
  return eventually('it is said that the file is damaged', () =>
    /weir\.db is (damaged|not a SQLite database)/.test(store.health.problem ?? ''),
  )
}

describe('store whose file is overwritten in place', { concurrency: true }, () => {
  for (const [how, spoil] of [
    ['garbage at its start', (path: string) => overwrite(path, 0)],
    ['another text', (path: string) => writeFileSync(path, 'dear diary, '.repeat(1000))],
    ['that it was emptied', (path: string) => truncateSync(path)],
  ] as const)
    it(`notices ${how} within seconds although nothing is asked of it`, async (test) => {
      const store = await openStore(test)
      await store.call('changeBan', ban('before'))
      const { ino } = statSync(store.path)
      spoil(store.path)
      assert.equal(statSync(store.path).ino, ino)
      await eventually('the loss was noticed', () => store.health.losses === 1)
      await assert.rejects(store.call('bansSince', 0), { code: 'STORAGE' })
    })

  it('acknowledges no ban any more', async (test) => {
    const store = await openStore(test)
    await store.call('changeBan', ban('before'))
    overwrite(store.path, 0)
    await assert.rejects(store.call('changeBan', ban('lost')), {
      code: 'STORAGE',
      message: /weir\.db: the file was overwritten in place while in use/,
    })
    await eventually('the loss was noticed', () => store.health.losses === 1)
  })

  it('takes a damaged page that is read for what it is, and says so until the file is mended', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    await largeFile(path)
    const whole = readFileSync(path)
    const store = await openStore(test, { path })
    let replaced = 0
    store.whenReplaced(() => replaced++)
    overwrite(path, 100)
    await assert.rejects(store.call('loadSessions', { agent: 'waf', wallMs: 1 }), {
      code: 'STORAGE',
      message: /weir\.db is damaged \(SQLITE_CORRUPT/,
    })
    await isRefused(store)
    await assert.rejects(store.call('changeBan', ban('lost')), { code: 'STORAGE', message: /is damaged/ })
    /* A backup that is copied into place: the same inode, and what was acknowledged since may be missing. */
    writeFileSync(path, whole)
    await eventually('it is open again', () => store.isOpen)
    assert.equal(replaced, 1)
    assert.equal((await store.call('bansSince', 0))[0]?.agent, 'before')
  })
})
