import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 60
/** Quick to open and to try again, so that the whole circle fits into a test. */
const POOL = { breaker: { openMs: 300 }, health: { pauseMs: 100 } }

for (const kind of ['uds', 'grpc'] as const) {
  scenario(
    `${kind}: an agent that stops answering costs each request its deadline, then nothing`,
    async (stage) => {
      const agent = await stage.judge(kind, kind === 'uds' ? stage.path() : '127.0.0.1:0')
      const closed = stage.gate({ address: agent.address, pool: POOL, policy: { timeoutMs: 300 } })
      const open = stage.gate({
        address: agent.address,
        pool: POOL,
        policy: { timeoutMs: 300, onFailure: 'open' },
      })
      const gates = [closed, open]
      for (const gate of gates) await stage.ready(gate)
      await agent.ask('hold')
      const bursts = gates.map((gate) => stage.load(gate, { concurrency: BURST, total: BURST }).done)
      const [denied, bypassed] = await Promise.all(bursts)
      assert.deepEqual(tally(denied!), { TIMEOUT: BURST })
      assert.deepEqual(tally(bypassed!), { 'bypass:timeout': BURST })
      for (const outcome of [...denied!, ...bypassed!])
        assert.ok(outcome.latencyMs >= 299, 'no deadline is early')
      for (const gate of gates) assert.ok(gate.books.breaker.includes('open'), 'the breaker opened')
      assert.equal(closed.snapshot().timeouts, BURST)
      await eventually('the agent saw every event', async () => Number(await agent.ask('seen')) === 2 * BURST)
      await agent.ask('release')
      for (const gate of gates) await stage.recovers(gate)
      assert.deepEqual(
        [closed.snapshot().lost, open.snapshot().lost],
        [0, 0],
        'a hanging agent keeps its connections',
      )
    },
  )
}

scenario('an open breaker refuses at once, without asking the agent', async (stage) => {
  const agent = await stage.judge('uds', stage.path())
  const pool = { breaker: { openMs: 60_000 } }
  const gate = stage.gate({ address: stage.path(), pool, policy: { timeoutMs: 700 } })
  await stage.ready(gate)
  await agent.ask('hold')
  const hanging = stage.load(gate, { concurrency: 5, total: 5 })
  await hanging.done
  const refused = await gate.ask()
  assert.equal(refused.what, 'UNAVAILABLE')
  assert.ok(refused.latencyMs < 700, `the refusal took ${refused.latencyMs} ms`)
  assert.equal(await agent.ask('seen'), '5')
})

scenario('one connection that hangs is ejected, and the others go on serving', async (stage) => {
  await stage.brute('mute-first')
  const pool = { health: { pauseMs: 60_000 } }
  const gate = stage.gate({ address: stage.path(), pool, policy: { timeoutMs: 1500 } })
  await stage.ready(gate)
  const counts = tally(await stage.load(gate, { concurrency: 200, total: 200 }).done)
  assert.deepEqual(counts, { allow: 150, TIMEOUT: 50 })
  const after = await stage.load(gate, { concurrency: 50, total: 300 }).done
  assert.deepEqual(tally(after), { allow: 300 })
  assert.deepEqual(gate.books.breaker, [], 'the failures of one connection are not the agent')
  assert.equal(gate.snapshot().ejections, 1)
})
