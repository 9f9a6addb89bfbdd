import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

/** Attempts per connection that an outage lasts: the pauses between them have reached their longest. */
const ATTEMPTS = 5

for (const kind of ['uds', 'grpc'] as const) {
  scenario(
    `${kind}: after a long outage traffic flows again within two seconds, on all connections`,
    async (stage) => {
      const agent = await stage.judge(kind, kind === 'uds' ? stage.path() : '127.0.0.1:0')
      const gate = stage.gate({
        address: agent.address,
        pool: { connections: 2 },
        policy: { onFailure: 'open' },
      })
      await stage.ready(gate)
      const load = stage.load(gate, { concurrency: 10 })
      await eventually('the load is under way', () => load.count('allow') > 10)
      await agent.kill()
      await eventually('the outage is long', () => gate.books.dialsFailed >= 2 * ATTEMPTS, 8000)
      await stage.judge(kind, agent.address)
      await stage.recovers(gate)
      await stage.ready(gate)
      const { allow = 0, 'bypass:unavailable': bypassed = 0, ...others } = tally(await load.stop())
      assert.deepEqual(others, {})
      assert.ok(allow > 10 && bypassed > 10)
      const after = await stage.load(gate, { concurrency: 20, total: 100 }).done
      assert.deepEqual(tally(after), { allow: 100 })
    },
  )
}

scenario(
  'callers do not wait out the pauses between dials: the first one who asks has the agent dialed',
  async (stage) => {
    const agent = await stage.judge('uds', stage.path())
    /* As after hours of outage: nobody would dial again for at least fifteen seconds. */
    const reconnect = { initialMs: 30_000, maxMs: 30_000 }
    const gate = stage.gate({ address: stage.path(), pool: { reconnect } })
    await stage.ready(gate)
    await agent.kill()
    await eventually('every connection failed to come back', () => gate.books.dialsFailed >= 4)
    await stage.judge('uds', stage.path())
    await stage.recovers(gate)
    await stage.ready(gate)
  },
)
