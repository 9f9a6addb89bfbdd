import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRATEGY_NAMES } from '../../src/policy/picker.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

const ROUNDS = 100_000
/** One small object per event would be 16 bytes and more; boxed clock readings alone stay below. */
const MAX_BYTES = 40

for (const strategy of STRATEGY_NAMES) {
  test(`a lease and its release build no object per event (${strategy})`, async () => {
    const { pool } = await startedPool({ connections: 4, strategy })
    const wishes = hints()
    const turn = (rounds: number): void => {
      for (let n = 0; n < rounds; n++) {
        const leased = pool.lease(wishes)
        if (typeof leased !== 'string') leased.release('replied', 0.25)
      }
    }
    turn(ROUNDS)
    let least = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = process.memoryUsage().heapUsed
      turn(ROUNDS)
      const grown = process.memoryUsage().heapUsed - before
      if (grown >= 0) least = Math.min(least, grown / ROUNDS)
    }
    assert.ok(least <= MAX_BYTES, `${least} bytes per event`)
  })
}

test('a lease answers in the turn it is asked, with a connection or a reason, never a promise', async () => {
  const { pool } = await startedPool({ connections: 1, maxConcurrentPerConnection: 1 })
  const leased = pool.lease(hints())
  assert.ok(typeof leased !== 'string' && !('then' in leased))
  assert.equal(pool.lease(hints()), 'full')
})
