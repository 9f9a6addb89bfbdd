import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import SqliteDatabase, { type Database } from 'better-sqlite3'
import { migrate } from '../../src/store/schema/migrate.ts'
import { MIGRATIONS } from '../../src/store/schema/migrations.ts'
import { Store } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { openStore } from './support.ts'

async function file(test: TestContext, prepare: (database: Database, path: string) => void): Promise<string> {
  const path = join(await temporaryFolder(test), 'weir.db')
  const database = new SqliteDatabase(path)
  prepare(database, path)
  database.close()
  return path
}

function look<T>(path: string, what: (database: Database) => T): T {
  const database = new SqliteDatabase(path, { readonly: true })
  try {
    return what(database)
  } finally {
    database.close()
  }
}

describe('schema of the store', () => {
  it('brings an older file to the present version and keeps its rows', async (test) => {
    const path = await file(test, (database, path) => {
      migrate(database, path, MIGRATIONS.slice(0, 1))
      database.exec("INSERT INTO ban_change VALUES (7, 'waf', 'ban', 'loud', 'ops', 1, NULL)")
      database.exec("INSERT INTO ban VALUES ('waf', 7)")
      database.exec("INSERT INTO limit_bucket VALUES ('waf', 30, 0, 100, 0, 1, 0, 1, NULL)")
    })
    const store = await openStore(test, { path })
    const version = look(path, (database) => database.pragma('user_version', { simple: true }))
    assert.equal(version, MIGRATIONS.length)
    assert.equal((await store.call('bansSince', 0))[0]!.revision, 7)
    const [bucket] = await store.call('lookAtBuckets', { keys: ['waf'], host: '', nowMs: 0, wallMs: 0 })
    assert.equal(bucket?.remaining, 70)
  })

  it('leaves a file as it was when a step fails', async (test) => {
    const path = await file(test, (database, path) => {
      migrate(database, path, MIGRATIONS.slice(0, 1))
      const broken = [MIGRATIONS[0]!, 'CREATE TABLE half (a) STRICT; INSERT INTO nowhere VALUES (1)']
      assert.throws(() => migrate(database, path, broken))
    })
    const version = look(path, (database) => database.pragma('user_version', { simple: true }))
    assert.equal(version, 1)
    await openStore(test, { path })
  })

  it('refuses a file of a newer version, names both versions and changes nothing', async (test) => {
    const path = await file(test, (database, path) => {
      migrate(database, path, [...MIGRATIONS, 'CREATE TABLE tomorrow (a)'])
    })
    const before = readFileSync(path)
    await assert.rejects(Store.open({ path }), {
      code: 'STORAGE',
      message: new RegExp(`schema version ${MIGRATIONS.length + 1}, this Weir knows ${MIGRATIONS.length}`),
    })
    assert.ok(readFileSync(path).equals(before))
  })

  it('refuses the database of another program and changes nothing', async (test) => {
    const path = await file(test, (database) => database.exec('CREATE TABLE theirs (a)'))
    const before = readFileSync(path)
    await assert.rejects(Store.open({ path }), { code: 'STORAGE', message: /another program/ })
    assert.ok(readFileSync(path).equals(before))
  })

  it('lets two processes make one file at once', async (test) => {
    const path = join(await temporaryFolder(test), 'weir.db')
    const stores = await Promise.all([1, 2, 3, 4].map(() => Store.open({ path })))
    for (const store of stores) await store.close()
    assert.equal(stores.length, 4)
  })
})
