import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STRATEGY_NAMES } from '../../src/policy/picker.ts'
import { hints, startedPool } from '../support/pool-fixture.ts'

const WARM_UP = 100_000
/** Few enough that the garbage collector mostly stays away while one attempt is measured. */
const ROUNDS = 10_000
const ATTEMPTS = 30
/** Up to three boxed numbers (a clock reading, random draws: 16 bytes each); with any object on top it would be more. */
const MAX_BYTES = 64

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
    turn(WARM_UP)
    let least = Number.POSITIVE_INFINITY
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
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
