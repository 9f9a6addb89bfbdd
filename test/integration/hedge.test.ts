import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 20
const POOL = { connections: 2, breaker: { consecutiveFailures: 1000, minimumVolume: 1000 } }

scenario(
  'reverse: one of two agents dies with hedged events on both: the other one answers every request, once',
  async (stage) => {
    const proxy = `unix:${stage.path()}`
    const gate = stage.gate({ pool: POOL, policy: { timeoutMs: 5000, hedgeAfterMs: 50 } })
    await gate.listen(proxy)
    const east = await stage.judge('reverse', proxy, 0, 1, 'east')
    const west = await stage.judge('reverse', proxy, 0, 1, 'west')
    await stage.ready(gate)
    for (const agent of [east, west]) await agent.ask('hold')
    const load = stage.load(gate, { concurrency: BURST, total: BURST })
    for (const agent of [east, west])
      await eventually('both have every event', async () => Number(await agent.ask('held')) === BURST)
    assert.equal(gate.snapshot().inFlight, 2 * BURST)
    await east.kill()
    await eventually('its connection is lost', () => gate.snapshot().lost === 1)
    assert.equal(load.outcomes.length, 0, 'the second try is still under way')
    assert.equal(gate.snapshot().inFlight, BURST)
    await west.ask('release')
    const outcomes = await load.done
    assert.deepEqual(tally(outcomes), { allow: BURST })
    assert.ok(outcomes.every(({ judge }) => judge === String(west.pid)))
    assert.equal(await west.ask('seen'), String(BURST))
    assert.equal(gate.books.strays, 0)
  },
)

scenario(
  'uds: an agent dies with both tries of hedged events: each request fails once, and its successor is used',
  async (stage) => {
    const agent = await stage.judge('uds', stage.path())
    const gate = stage.gate({
      address: stage.path(),
      pool: POOL,
      policy: { timeoutMs: 5000, hedgeAfterMs: 50 },
    })
    await stage.ready(gate)
    await agent.ask('hold')
    const load = stage.load(gate, { concurrency: BURST, total: BURST })
    await eventually('it has every event twice', async () => Number(await agent.ask('held')) === 2 * BURST)
    await agent.kill()
    assert.deepEqual(tally(await load.done), { CONNECTION_LOST: BURST })
    assert.equal(gate.snapshot().inFlight, 0)
    const next = await stage.judge('uds', stage.path())
    await stage.recovers(gate)
    await stage.ready(gate)
    const after = await stage.load(gate, { concurrency: BURST, total: 5 * BURST }).done
    assert.deepEqual(tally(after), { allow: 5 * BURST })
    assert.ok(after.every(({ judge }) => judge === String(next.pid)))
  },
)
