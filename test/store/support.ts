import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Store, type StoreOptions } from '../../src/store/store.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

/** A store of its own, closed with the test; in a folder of its own unless `path` is given. */
export async function openStore(test: TestContext, options: Partial<StoreOptions> = {}): Promise<Store> {
  let store: Store | undefined
  /* Before the folder's own hook, which removes the files. */
  test.after(() => store?.close())
  const path = options.path ?? join(await temporaryFolder(test), 'weir.db')
  store = await Store.open({ ...options, path })
  return store
}

const HOLD = `
const [path, isExclusive] = process.argv.slice(1)
const database = new (require('better-sqlite3'))(path)
if (isExclusive === 'yes') database.pragma('locking_mode = EXCLUSIVE')
database.exec('BEGIN EXCLUSIVE')
process.stdout.write('held')
process.stdin.resume().on('end', () => { database.exec('ROLLBACK'); database.close() })
`

/** Another process that lets nobody open the file until the returned function was called and resolved. */
export function holdExclusively(test: TestContext, path: string): Promise<() => Promise<void>> {
  return hold(test, path, 'yes')
}

/** Another process that lets nobody write until the returned function was called and resolved. */
export function holdWriteLock(test: TestContext, path: string): Promise<() => Promise<void>> {
  return hold(test, path, 'no')
}

async function hold(test: TestContext, path: string, isExclusive: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, ['-e', HOLD, path, isExclusive], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  test.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return async () => {
    const exit = once(child, 'exit')
    child.stdin.end()
    await exit
  }
}
