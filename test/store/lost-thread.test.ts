import assert from 'node:assert/strict'
import { readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import SqliteDatabase from 'better-sqlite3'
import { openDatabase } from '../../src/store/database.ts'
import { GroupCommit } from '../../src/store/group-commit.ts'
import type { BanChangeRow } from '../../src/store/limits/ban-ops.ts'
import { Store } from '../../src/store/store.ts'
import { storeOps } from '../../src/store/store-ops.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { watchThreads } from './store-threads.ts'
import { holdExclusively, openStore } from './support.ts'

function ban(agent: string): BanChangeRow {
  return { agent, action: 'ban', reason: 'loud', author: 'ops', atWallMs: 1, untilWallMs: undefined }
}

async function bannedIn(store: Store): Promise<string[]> {
  return (await store.call('bansSince', 0)).map(({ agent }) => agent)
}

function reopened(store: Store): Promise<void> {
  return eventually('the file is open again', () => store.isOpen && store.health.losses > 0)
}

describe('store whose thread dies', () => {
  it('refuses what it had under way and what comes next at once, and is open again by itself', async (test) => {
    const threads = watchThreads(test)
    const notices: string[] = []
    const probe = { notice: (level: string, text: string) => void notices.push(`${level}: ${text}`) }
    const store = await openStore(test, { probe })
    await store.call('changeBan', ban('kept'))
    const underWay = store.call('bansSince', 0)
    const outcome = assert.rejects(underWay, {
      code: 'STORAGE',
      message: /outcome of the request is unknown/,
    })
    await threads[0]!.terminate()
    await outcome
    assert.equal(store.isOpen, false)
    assert.match(store.health.problem!, /weir\.db: the store thread ended/)
    await assert.rejects(store.call('bansSince', 0), { code: 'STORAGE', message: /the store thread ended/ })
    await reopened(store)
    assert.deepEqual(await bannedIn(store), ['kept'])
    assert.deepEqual(store.health, { isOpen: true, problem: undefined, losses: 1, replacements: 0 })
    assert.match(notices[0]!, /^error: storage is out of reach: .*the store thread ended/)
    assert.match(notices[1]!, /^info: storage .*weir\.db is open again$/)
  })

  it('follows an uncaught error of its thread with another thread', async (test) => {
    const threads = watchThreads(test)
    const store = await openStore(test)
    threads[0]!.postMessage(null)
    await eventually('the loss was noticed', () => store.health.losses === 1)
    assert.match(store.health.problem ?? 'already open again', /the store thread failed|already/)
    await reopened(store)
    await store.call('changeBan', ban('waf'))
    assert.deepEqual(await bannedIn(store), ['waf'])
  })

  it('waits twice as long after each loss, and never gives up', async (test) => {
    const threads = watchThreads(test)
    const clock = new FakeClock()
    const store = await openStore(test, { clock, random: () => 0 })
    for (const pauseMs of [50, 100, 200, 400]) {
      const { length } = threads
      await threads.at(-1)!.terminate()
      clock.advance(pauseMs - 1)
      assert.equal(threads.length, length, `a thread was started before ${pauseMs} ms were over`)
      clock.advance(1)
      assert.equal(threads.length, length + 1)
      await eventually('the file is open again', () => store.isOpen)
    }
    assert.equal(store.health.losses, 4)
  })

  it('starts with a short pause again after a thread that lived long', async (test) => {
    const threads = watchThreads(test)
    const clock = new FakeClock()
    const store = await openStore(test, { clock, random: () => 0 })
    for (const restMs of [0, 0, 30_000]) {
      clock.advance(restMs)
      await threads.at(-1)!.terminate()
      clock.advance(restMs === 0 ? 400 : 50)
      await eventually('the file is open again', () => store.isOpen)
    }
  })

  it('keeps trying while the file is locked, says why, and goes on once it is free', async (test) => {
    const threads = watchThreads(test)
    const clock = new FakeClock()
    const path = join(await temporaryFolder(test), 'weir.db')
    const store = await openStore(test, { path, clock, busyTimeoutMs: 20 })
    await store.call('changeBan', ban('waf'))
    await threads[0]!.terminate()
    const release = await holdExclusively(test, path)
    clock.advance(100)
    await eventually('the lock is named', () => /locked by another/.test(store.health.problem ?? ''))
    await release()
    clock.advance(200)
    await eventually('the file is open again', () => store.isOpen)
    assert.deepEqual(await bannedIn(store), ['waf'])
  })

  it('closes while its thread is gone, and starts no other', async (test) => {
    const threads = watchThreads(test)
    const clock = new FakeClock()
    const store = await openStore(test, { clock })
    await threads[0]!.terminate()
    await store.close()
    assert.match(store.health.problem!, /is closed/)
    clock.advance(60_000)
    assert.equal(threads.length, 1)
  })
})

describe('group commit', () => {
  it('answers every request and says that the connection is broken when even the rollback fails', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const database = openDatabase({ path, busyTimeoutMs: 100 })
    test.after(() => database.close())
    const exec = database.exec.bind(database)
    database.exec = (sql: string) => {
      if (sql === 'COMMIT' || sql === 'ROLLBACK') throw new Error(`disk I/O error in ${sql}`)
      return exec(sql)
    }
    const commit = new GroupCommit(database, path, storeOps(database))
    const { replies, broken } = commit.run([{ id: 1, op: 'changeBan', args: ban('a') }])
    assert.equal(broken, 'not rolled back')
    assert.match(replies[0]!.error!.message, /disk I\/O error in COMMIT/)
  })

  it('answers a request that names no operation, and goes on', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const database = openDatabase({ path, busyTimeoutMs: 100 })
    test.after(() => database.close())
    const commit = new GroupCommit(database, path, storeOps(database))
    const unknown = commit.run([{ id: 1, op: 'nothing' as 'changeBan', args: undefined }])
    assert.equal(unknown.replies[0]!.error!.code, 'INTERNAL')
    assert.equal(unknown.broken, undefined)
    assert.equal(commit.run([{ id: 2, op: 'changeBan', args: ban('a') }]).replies[0]!.error, undefined)
  })
})

describe('store whose file is taken away', { concurrency: true }, () => {
  it('never acknowledges a ban that went into a deleted file, and makes the file anew', async (test) => {
    const store = await openStore(test)
    await store.call('changeBan', ban('before'))
    let replaced = 0
    store.whenReplaced(() => replaced++)
    for (const end of ['', '-wal', '-shm']) rmSync(`${store.path}${end}`)
    await assert.rejects(store.call('changeBan', ban('lost')), {
      code: 'STORAGE',
      message: /weir\.db: the file was deleted or moved while in use/,
    })
    await reopened(store)
    assert.equal(replaced, 1)
    assert.equal(store.health.replacements, 1)
    assert.deepEqual(await bannedIn(store), [])
    await store.call('changeBan', ban('after'))
    const other = await openStore(test, { path: store.path })
    assert.deepEqual(await bannedIn(other), ['after'])
  })

  it('notices within seconds although nothing is asked of it', async (test) => {
    const store = await openStore(test)
    rmSync(store.path)
    await eventually('the loss was noticed', () => store.health.losses === 1)
    await reopened(store)
    assert.equal(store.health.replacements, 1)
  })

  it('opens the file that took its place, and leaves all it wrote in the one that was moved', async (test) => {
    const folder = await temporaryFolder(test)
    const path = join(folder, 'weir.db')
    const backup = await Store.open({ path: join(folder, 'backup.db') })
    await backup.call('changeBan', ban('in the backup'))
    await backup.close()
    const store = await openStore(test, { path })
    await store.call('changeBan', ban('moved away'))
    renameSync(path, join(folder, 'moved.db'))
    renameSync(join(folder, 'backup.db'), path)
    await eventually('the loss was noticed', () => store.health.losses === 1)
    await reopened(store)
    assert.deepEqual(await bannedIn(store), ['in the backup'])
    const database = new SqliteDatabase(path)
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok')
    database.close()
    const moved = new SqliteDatabase(join(folder, 'moved.db'), { readonly: true })
    assert.deepEqual(moved.prepare('SELECT agent FROM ban').pluck().all(), ['moved away'])
    moved.close()
  })

  it('lets no log of the old file run into the new one, also while a reader keeps the old one open', async (test) => {
    const folder = await temporaryFolder(test)
    const path = join(folder, 'weir.db')
    const backup = await Store.open({ path: join(folder, 'backup.db') })
    await backup.call('changeBan', ban('in the backup'))
    await backup.close()
    const store = await openStore(test, { path, busyTimeoutMs: 50 })
    const reader = new SqliteDatabase(path)
    test.after(() => reader.close())
    reader.exec('BEGIN')
    reader.prepare('SELECT * FROM ban').all()
    for (let index = 0; index < 20; index++) await store.call('changeBan', ban(`old ${index}`))
    renameSync(join(folder, 'backup.db'), path)
    await eventually('the loss was noticed', () => store.health.losses === 1)
    await reopened(store)
    assert.deepEqual(await bannedIn(store), ['in the backup'])
    assert.ok(readdirSync(folder).some((name) => name.startsWith('weir.db-wal.of-')))
  })

  it('waits for a file it may open when a damaged one took its place, and then goes on', async (test) => {
    const store = await openStore(test)
    const folder = dirname(store.path)
    const foreign = new SqliteDatabase(join(folder, 'foreign.db'))
    foreign.exec('CREATE TABLE theirs (a)')
    foreign.close()
    renameSync(join(folder, 'foreign.db'), store.path)
    await eventually('what is wrong is said', () => /another program/.test(store.health.problem ?? ''))
    await assert.rejects(store.call('bansSince', 0), { code: 'STORAGE', message: /another program/ })
    rmSync(store.path)
    await reopened(store)
    assert.deepEqual(await bannedIn(store), [])
  })

  it('loses nothing when only the write-ahead log is deleted', async (test) => {
    const store = await openStore(test)
    await store.call('changeBan', ban('waf'))
    rmSync(`${store.path}-wal`)
    await eventually('the loss was noticed', () => store.health.losses === 1)
    await reopened(store)
    assert.deepEqual(await bannedIn(store), ['waf'])
    assert.equal(store.health.replacements, 0)
    assert.deepEqual(
      readdirSync(dirname(store.path)).filter((name) => !name.startsWith(basename(store.path))),
      [],
    )
  })
})
