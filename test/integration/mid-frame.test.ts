import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BREAKS = ['half-frame', 'garbage', 'oversize'] as const

for (const fault of BREAKS) {
  scenario(`${fault}: a connection whose bytes make no sense is dropped and replaced`, async (stage) => {
    await stage.brute('faults')
    const closed = stage.gate({ address: stage.path(), pool: { connections: 2 } })
    const open = stage.gate({
      address: stage.path(),
      pool: { connections: 2 },
      policy: { onFailure: 'open' },
    })
    for (const gate of [closed, open]) {
      await stage.ready(gate)
      const expected = gate === closed ? 'CONNECTION_LOST' : 'bypass:unavailable'
      assert.equal((await gate.ask(`fault=${fault}`)).what, expected)
      await eventually(
        'its connection is replaced',
        () => gate.books.opened === 3 && gate.snapshot().available === 2,
      )
      assert.equal(gate.snapshot().lost, 1)
      const after = await stage.load(gate, { concurrency: 10, total: 40 }).done
      assert.deepEqual(tally(after), { allow: 40 })
    }
  })
}

scenario(
  'a frame that never ends swallows answers only until the heartbeat misses its pongs',
  async (stage) => {
    await stage.brute('faults')
    const pool = {
      connections: 2,
      heartbeatMs: 200,
      breaker: { consecutiveFailures: 1000, minimumVolume: 1000 },
    }
    const gate = stage.gate({ address: stage.path(), pool, policy: { timeoutMs: 300 } })
    await stage.ready(gate)
    assert.equal((await gate.ask('fault=endless')).what, 'TIMEOUT')
    await eventually('the connection is given up', () => gate.snapshot().lost === 1, 6000)
    await eventually('it is replaced', () => gate.snapshot().available === 2)
    const after = await stage.load(gate, { concurrency: 10, total: 40, chain: 'patient judge' }).done
    assert.deepEqual(tally(after), { allow: 40 })
  },
)
