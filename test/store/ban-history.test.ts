import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BanChangeRow } from '../../src/store/limits/ban-ops.ts'
import { openStore } from './support.ts'

const DAY_MS = 86_400_000
const NOW = 20_000 * DAY_MS

function ban(agent: string, rest: Partial<BanChangeRow> = {}): BanChangeRow {
  return { agent, action: 'ban', reason: '', author: 'ops', atWallMs: NOW, untilWallMs: undefined, ...rest }
}

test('the history of bans keeps the newest 10,000 changes, and every ban that is in force', async (context) => {
  const store = await openStore(context)
  await store.call('changeBan', ban('for good'))
  for (let start = 0; start < 11_000; start += 1000)
    await Promise.all(
      Array.from({ length: 1000 }, (_, index) =>
        store.call('changeBan', ban('flapping', { action: index % 2 === 0 ? 'ban' : 'unban' })),
      ),
    )
  const history = await store.call('banHistory', { agent: undefined, limit: 100_000 })
  assert.ok(history.length >= 10_000 && history.length <= 10_100, `${history.length} changes`)
  assert.equal(history[0]!.revision, 11_001)
  assert.deepEqual(
    (await store.call('bansSince', 0)).map(({ agent }) => agent),
    ['for good'],
  )
})

test('a change of bans is forgotten after a year, and a timed ban a day after its end', async (context) => {
  const store = await openStore(context)
  await store.call('changeBan', ban('for good', { atWallMs: NOW - 800 * DAY_MS }))
  const old = { atWallMs: NOW - 400 * DAY_MS, untilWallMs: NOW - 399 * DAY_MS }
  await store.call('changeBan', ban('ended', old))
  await store.call('changeBan', ban('lifted', { ...old, action: 'unban' }))
  await store.call('changeBan', ban('just ended', { untilWallMs: NOW - 1000 }))
  await store.call('changeBan', ban('timed', { untilWallMs: NOW + DAY_MS }))
  await store.call('changeBan', ban('timed', { untilWallMs: NOW + DAY_MS }))
  const agents = (rows: readonly { readonly agent: string }[]): string[] => rows.map(({ agent }) => agent)
  assert.deepEqual(agents(await store.call('bansSince', 0)), ['for good', 'just ended', 'timed'])
  assert.deepEqual(agents(await store.call('banHistory', { agent: undefined, limit: 100 })), [
    'timed',
    'timed',
    'just ended',
    'for good',
  ])
})
