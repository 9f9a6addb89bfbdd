import type { LimitStore } from '../../src/proxy/limits/limit-store.ts'
import { MemoryLimitStore } from '../../src/store/limits/memory-limit-store.ts'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { limitStoreConformance } from './limit-store-conformance.ts'
import { openStore } from './support.ts'

/* The annotations are checks too: the stores satisfy the port without importing it. */
limitStoreConformance('in memory', () => Promise.resolve<LimitStore>(new MemoryLimitStore()))
limitStoreConformance('SQLite', async (test): Promise<LimitStore> => {
  const store = await openStore(test)
  return new SqliteLimitStore(store, new FakeClock(), { identity: 'test', offsetMs: 0 })
})
