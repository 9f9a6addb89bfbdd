import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { seededRandom } from '../../src/core/random.ts'
import { ConnectionPool } from '../../src/pool/connection-pool.ts'
import { poolSettings } from '../../src/pool/pool-options.ts'
import { FakeClock } from '../support/fake-clock.ts'

const POOLS = 2000
/** Measured: 5,500, settings included. Buckets of two failure windows would add 1,200, an object with getters 800. */
const MAX_BYTES = 6300

test('an agent that is configured and has neither connections nor events weighs little', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const around = { clock: new FakeClock(), random: seededRandom(1), probe: {} }
  const pools = (count: number): ConnectionPool[] =>
    Array.from(
      { length: count },
      (_, n) => new ConnectionPool({ agent: `agent-${n}`, settings: poolSettings(), around }),
    )
  /* Compiled code and shared tables have their full size by then. */
  const before = pools(200)
  const used = (): number => {
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const first = used()
  const measured = pools(POOLS)
  const bytes = (used() - first) / POOLS
  assert.equal(before.length + measured.length, POOLS + 200)
  assert.ok(bytes < MAX_BYTES, `${bytes} bytes per agent`)
})
