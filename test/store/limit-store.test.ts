import { rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { LimitStore } from '../../src/proxy/limits/limit-store.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { MemoryLimitStore } from '../limits/memory-limit-store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { limitStoreConformance, losableStoreConformance } from './limit-store-conformance.ts'
import { type ClosableStore, sharedLimitStoreConformance } from './shared-limit-store-conformance.ts'
import { SocketLimitStore, serveEngine } from './socket-limit-store.ts'
import { openStore } from './support.ts'

async function sqlite(test: TestContext, path?: string): Promise<ClosableStore> {
  const file = await openStore(test, path === undefined ? {} : { path })
  /* The annotation is a check too: the store satisfies the port without importing it. */
  const store: LimitStore = new SqliteLimitStore(file, new FakeClock(), { identity: 'test', offsetMs: 0 })
  return { store, close: () => file.close() }
}

async function engine(test: TestContext): Promise<{ open: () => Promise<ClosableStore> }> {
  const server = await serveEngine()
  const handles: SocketLimitStore[] = []
  test.after(async () => {
    for (const handle of handles) void handle.close()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    open: async () => {
      const store = new SocketLimitStore(port)
      handles.push(store)
      return { store, close: () => store.close() }
    },
  }
}

limitStoreConformance('in memory', () => Promise.resolve<LimitStore>(new MemoryLimitStore()))
limitStoreConformance('SQLite', async (test) => (await sqlite(test)).store)
limitStoreConformance('behind a socket', async (test) => (await (await engine(test)).open()).store)

losableStoreConformance('SQLite', async (test) => {
  const path = join(await temporaryFolder(test), 'weir.db')
  const lose = (): void => {
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`)
  }
  return { store: (await sqlite(test, path)).store, lose }
})

sharedLimitStoreConformance('SQLite', async (test) => {
  const path = join(await temporaryFolder(test), 'weir.db')
  return { open: () => sqlite(test, path) }
})
sharedLimitStoreConformance('behind a socket', engine)
