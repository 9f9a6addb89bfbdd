import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { type Stage, scenario } from './harness.ts'
import { tally } from './load.ts'

const UDS_BREAKS = ['half-frame', 'garbage', 'oversize'] as const
/** The TCP connection ends in the middle of a DATA frame, or of its head, with FIN or RST. */
const GRPC_BREAKS = ['half-frame', 'half-frame-reset', 'half-head'] as const

for (const fault of UDS_BREAKS) {
  scenario(`uds: ${fault}: a connection whose bytes make no sense is dropped and replaced`, async (stage) => {
    await stage.brute('faults')
    await breaks(stage, stage.path(), fault)
  })
}

for (const fault of GRPC_BREAKS) {
  scenario(
    `grpc: ${fault}: a connection cut within a DATA frame is lost at once and replaced`,
    async (stage) => {
      const { address } = await stage.bruteGrpc()
      await breaks(stage, address, fault)
    },
  )
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

/** One broken answer in either failure mode costs its request and its connection, and nothing else. */
async function breaks(stage: Stage, address: string, fault: string): Promise<void> {
  const pool = { connections: 2 }
  const closed = stage.gate({ address, pool })
  const open = stage.gate({ address, pool, policy: { onFailure: 'open' } })
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
}
