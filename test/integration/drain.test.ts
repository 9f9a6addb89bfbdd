import assert from 'node:assert/strict'
import { WeirError } from '../../src/core/errors.ts'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 20
const burst = { concurrency: BURST, total: BURST }

for (const kind of ['uds', 'grpc'] as const) {
  scenario(
    `${kind}: a drain lets what is in flight finish and refuses the rest, twice with one promise`,
    async (stage) => {
      const agent = await stage.judge(kind, kind === 'uds' ? stage.path() : '127.0.0.1:0')
      const gate = stage.gate({ address: agent.address, policy: { timeoutMs: 5000 } })
      await stage.ready(gate)
      await agent.ask('hold')
      const inFlight = stage.load(gate, burst)
      await eventually('the agent has them all', async () => Number(await agent.ask('seen')) === BURST)
      const pool = gate.pool()
      const deadlineAt = gate.clock.now() + 5000
      const { opened, dialsFailed } = gate.books
      const drained = pool.drain(deadlineAt)
      assert.equal(pool.drain(deadlineAt), drained)
      const refused = await stage.load(gate, burst).done
      assert.deepEqual(tally(refused), { DRAINING: BURST })
      assert.equal(gate.snapshot().inFlight, BURST)
      assert.equal(inFlight.outcomes.length, 0)
      await agent.ask('release')
      assert.deepEqual(tally(await inFlight.done), { allow: BURST })
      await drained
      assert.equal(gate.snapshot().active, 0)
      const dials = gate.books.opened + gate.books.dialsFailed
      assert.equal(dials, opened + dialsFailed, 'a draining pool dials no more')
    },
  )
}

scenario('a drain ends at its deadline: what still runs then is denied as DRAINING', async (stage) => {
  const agent = await stage.judge('uds', stage.path())
  const gate = stage.gate({ address: stage.path(), policy: { timeoutMs: 10_000 } })
  await stage.ready(gate)
  await agent.ask('hold')
  const inFlight = stage.load(gate, burst)
  await eventually('the agent has them all', async () => Number(await agent.ask('seen')) === BURST)
  await gate.pool().drain(gate.clock.now() + 200)
  assert.deepEqual(tally(await inFlight.done), { DRAINING: BURST })
})

scenario('a dispatcher that drains refuses new requests and waits for open ones', async (stage) => {
  const agent = await stage.judge('uds', stage.path())
  const gate = stage.gate({ address: stage.path(), policy: { timeoutMs: 5000 } })
  await stage.ready(gate)
  await agent.ask('hold')
  const inFlight = stage.load(gate, burst)
  await eventually('the agent has them all', async () => Number(await agent.ask('seen')) === BURST)
  const drained = gate.dispatcher.drain(5000)
  assert.equal(gate.dispatcher.drain(5000), drained)
  await assert.rejects(gate.ask(), (error) => error instanceof WeirError && error.code === 'DRAINING')
  await agent.ask('release')
  assert.deepEqual(tally(await inFlight.done), { allow: BURST })
  await drained
})
