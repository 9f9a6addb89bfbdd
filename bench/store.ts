import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Store } from '../src/store/store.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'

/** Requests that wait at once: what group commit has to gather. */
const TOGETHER = 256

/** What sharing a commit is worth: the same durable and plain requests one by one and 256 at a time. */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const store = await Store.open({ path: join(folder, 'weir.db') })
  try {
    return { bench: 'store', rows: [await durable(store, quick), await plain(store, quick)] }
  } finally {
    await store.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function durable(store: Store, quick: boolean): Promise<Row> {
  const ban = (index: number): Promise<unknown> => {
    const agent = `agent ${index % 1000}`
    return store.call('changeBan', {
      agent,
      action: 'ban',
      reason: '',
      author: 'bench',
      atWallMs: index,
      untilWallMs: undefined,
    })
  }
  return await compare('durable commits/s (fsynced), 256 at a time vs one by one', 5, ban, quick)
}

async function plain(store: Store, quick: boolean): Promise<Row> {
  const save = (index: number): Promise<unknown> =>
    store.call('saveSessions', [
      { agent: 'waf', session: `s${index % 10_000}`, target: 'endpoint', expiresWallMs: index },
    ])
  return await compare('plain commits/s, 256 at a time vs one by one', 2, save, quick)
}

async function compare(
  name: string,
  goal: number,
  request: (index: number) => Promise<unknown>,
  quick: boolean,
): Promise<Row> {
  const groups = quick ? 2 : 100
  const single = quick ? 20 : 1000
  const results = await interleave(quick ? 1 : 5, {
    together: async () => {
      const startedAt = performance.now()
      for (let group = 0; group < groups; group++)
        await Promise.all(Array.from({ length: TOGETHER }, (_, index) => request(group * TOGETHER + index)))
      return (groups * TOGETHER) / ((performance.now() - startedAt) / 1000)
    },
    single: async () => {
      const startedAt = performance.now()
      for (let index = 0; index < single; index++) await request(index)
      return single / ((performance.now() - startedAt) / 1000)
    },
  })
  const { together = [], single: alone = [] } = results
  return row(name, pairedRatio(together, alone), goal, { together: median(together), single: median(alone) })
}
