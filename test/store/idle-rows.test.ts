import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SqliteLimitStore } from '../../src/store/limits/sqlite-limit-store.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { openStore } from './support.ts'

const ROWS = 20_000

/** A bucket each; `want` of 100 tokens, refilled at 10 per second. */
async function fill(limits: SqliteLimitStore, prefix: string, want: number): Promise<void> {
  for (let start = 0; start < ROWS; start += 1000)
    await limits.settle(
      Array.from({ length: 1000 }, (_, index) => ({
        key: `${prefix}${start + index}`,
        rate: 10,
        burst: 100,
        atMs: 1000,
        seq: 0,
        give: 0,
        owed: 0,
        want,
        least: want,
        ahead: 0,
      })),
    )
}

test('housekeeping keeps up with many idle buckets, while whoever needs tokens comes in between', async (context) => {
  const store = await openStore(context)
  const limits = new SqliteLimitStore(store, new FakeClock(), { identity: 'test', offsetMs: 0 })
  await fill(limits, 'idle ', 10)
  const order: string[] = []
  const expiry = limits.expireIdle(3000).then((facts) => {
    order.push('expired')
    return facts
  })
  await limits.look(['idle 1'], 3000)
  await limits.look(['idle 1'], 3000)
  order.push('looked twice')
  assert.deepEqual(await expiry, { expired: ROWS, rows: 0 })
  assert.deepEqual(order, ['looked twice', 'expired'])
})

test('buckets in use cost one short step, and are counted from the first step on, never too high', async (context) => {
  const store = await openStore(context)
  const limits = new SqliteLimitStore(store, new FakeClock(), { identity: 'test', offsetMs: 0 })
  await fill(limits, 'used ', 90)
  let before = 0
  for (let step = 0; step < 12; step++) {
    const { expired, rows } = await limits.expireIdle(3000)
    assert.equal(expired, 0)
    assert.ok(rows > before || rows === ROWS, `${rows} after ${before}`)
    assert.ok(rows <= Math.max(before, 2000 * (step + 1)) && rows <= ROWS, `${rows} in step ${step}`)
    before = rows
  }
  assert.equal(before, ROWS)
})
