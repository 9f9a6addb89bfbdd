import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { BanChange, LeaseAsk, LimitStore } from '../../src/proxy/limits/limit-store.ts'

/** One engine with as many handles as a test asks for, each as a process of its own would have it. */
export interface SharedEngine {
  open(): Promise<ClosableStore>
}

export interface ClosableStore {
  readonly store: LimitStore
  close(): Promise<void>
}

const ASK: LeaseAsk = {
  key: 'waf\nevents\n',
  rate: 0,
  burst: 100,
  atMs: 10_000,
  seq: 0,
  give: 0,
  owed: 0,
  want: 1,
  least: 1,
  ahead: 0,
}

function ban(agent: string, action: 'ban' | 'unban' = 'ban'): BanChange {
  return { agent, action, reason: 'loud', author: 'ops', atWallMs: 1, untilWallMs: undefined }
}

async function take(store: LimitStore, want: number): Promise<number> {
  const [grant] = await store.settle([{ ...ASK, want, least: want }])
  return Math.round((grant!.to - grant!.from) * 1e6) / 1e6
}

/** The rules of a store that several processes share, and that outlives them. */
export function sharedLimitStoreConformance(
  name: string,
  make: (test: TestContext) => Promise<SharedEngine>,
): void {
  describe(`shared limit store: ${name}`, () => {
    it('hands out through every handle together no more than the burst, however calls interleave', async (test) => {
      const engine = await make(test)
      const handles = await Promise.all([engine.open(), engine.open(), engine.open()])
      const calls = Array.from({ length: 90 }, (_, index) => take(handles[index % 3]!.store, 2))
      const granted = (await Promise.all(calls)).reduce((sum, tokens) => sum + tokens, 0)
      assert.equal(granted, 100)
      for (const handle of handles) assert.equal(await take(handle.store, 1), 0)
    })

    it('loads for a new handle what earlier ones spent, after they are gone', async (test) => {
      const engine = await make(test)
      const first = await engine.open()
      assert.equal(await take(first.store, 70), 70)
      await first.close()
      const second = await engine.open()
      const [facts] = await second.store.look([ASK.key], ASK.atMs)
      assert.equal(facts?.remaining, 30)
      assert.equal(await take(second.store, 30), 30)
    })

    it('takes a checkpoint of many buckets in one call, each bucket by itself', async (test) => {
      const engine = await make(test)
      const { store } = await engine.open()
      const asks = Array.from({ length: 2000 }, (_, index) => ({ ...ASK, key: `bucket ${index}`, want: 40 }))
      const grants = await store.settle(asks)
      const returns = asks.map((ask, index) => ({
        ...ask,
        seq: grants[index]!.seq,
        give: 10,
        want: 0,
        least: 0,
      }))
      await store.settle(returns)
      const other = await engine.open()
      const keys = asks.map(({ key }) => key)
      for (const facts of await other.store.look(keys, ASK.atMs)) assert.equal(facts?.remaining, 70)
    })

    it('tells each handle the bans made through others since its own revision, once and in order', async (test) => {
      const engine = await make(test)
      const [here, there] = [await engine.open(), await engine.open()]
      const { revision } = await here.store.changeBan(ban('a'))
      await there.store.changeBan(ban('b'))
      await here.store.changeBan(ban('a', 'unban'))
      const told = await there.store.bansSince(revision)
      assert.deepEqual(
        told.map(({ agent, action }) => `${action} ${agent}`),
        ['ban b', 'unban a'],
      )
      assert.deepEqual(await there.store.bansSince(told.at(-1)!.revision), [])
    })

    it('keeps acknowledged bans, and their history, for handles to come', async (test) => {
      const engine = await make(test)
      const first = await engine.open()
      const record = await first.store.changeBan(ban('waf'))
      await first.close()
      const second = await engine.open()
      assert.deepEqual(await second.store.bansSince(0), [record])
      assert.deepEqual(await second.store.banHistory('waf', 10), [record])
    })

    it('rejects with STORAGE, and waits for nothing, through a handle that is closed', async (test) => {
      const engine = await make(test)
      const handle = await engine.open()
      await handle.close()
      for (const call of [
        async () => handle.store.settle([ASK]),
        () => handle.store.changeBan(ban('waf')),
        () => handle.store.bansSince(0),
        () => handle.store.expireIdle(0),
      ])
        await assert.rejects(call, { code: 'STORAGE' })
    })
  })
}
