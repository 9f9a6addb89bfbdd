import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRATEGY_NAMES, type StrategyName } from '../../src/policy/picker.ts'
import { bytesPerRound } from '../support/bytes-per-round.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

/**
 * What is measured, and one boxed number (16 bytes: a clock reading) on top of it; the smallest array takes 32, the smallest
 * closure 64. `p2c` draws two random numbers and reads two latencies, each of them a number in a box.
 */
const MAX_BYTES: Readonly<Record<StrategyName, number>> = {
  'round-robin': 24,
  'least-in-flight': 24,
  'health-based': 30,
  random: 30,
  p2c: 72,
  'ring-hash': 24,
}

for (const strategy of STRATEGY_NAMES) {
  test(`a lease and its release build no object per event (${strategy})`, async () => {
    const { pool } = await startedPool({ connections: 4, strategy })
    const wishes = hints()
    const bytes = bytesPerRound((rounds) => {
      for (let n = 0; n < rounds; n++) {
        const leased = pool.lease(wishes)
        if (typeof leased !== 'string') leased.release('replied', 0.25)
      }
    }, MAX_BYTES[strategy])
    assert.ok(bytes <= MAX_BYTES[strategy], `${bytes} bytes per event`)
  })
}

test('a lease answers in the turn it is asked, with a connection or a reason, never a promise', async () => {
  const { pool } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const leased = pool.lease(hints())
  assert.ok(typeof leased !== 'string' && !('then' in leased))
  assert.equal(pool.lease(hints()), 'full')
})
