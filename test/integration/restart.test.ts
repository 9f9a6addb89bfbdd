import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { within } from './agent-process.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const CONCURRENCY = 50

for (const kind of ['uds', 'grpc'] as const) {
  scenario(
    `${kind}: a graceful restart under load finishes what was begun, and the successor is used`,
    async (stage) => {
      const old = await stage.judge(kind, kind === 'uds' ? stage.path() : '127.0.0.1:0', 5)
      const gate = stage.gate({ address: old.address, policy: { timeoutMs: 5000 } })
      await stage.ready(gate)
      const load = stage.load(gate, { concurrency: CONCURRENCY })
      await eventually('the load is under way', () => load.count('allow') > CONCURRENCY)
      await old.ask('hold')
      const begun = stage.load(gate, { concurrency: CONCURRENCY, total: CONCURRENCY })
      await eventually('every client waits', async () => Number(await old.ask('held')) === 2 * CONCURRENCY)
      old.tell('close')
      await eventually('the gate knows of the drain', () => gate.snapshot().healthy === 0)
      assert.equal(begun.outcomes.length, 0)
      await old.ask('release')
      await within('the exit of the old agent', 5000, old.exited)
      const next = await stage.judge(kind, old.address, 5)
      await stage.recovers(gate)
      await stage.ready(gate)
      assert.deepEqual(
        tally(await begun.done),
        { allow: CONCURRENCY },
        'every request in flight was answered',
      )
      const outcomes = await load.stop()
      const { allow = 0, UNAVAILABLE = 0, CONNECTION_LOST = 0, ...others } = tally(outcomes)
      assert.deepEqual([others, CONNECTION_LOST], [{}, 0])
      assert.ok(allow > 0 && UNAVAILABLE > 0)
      assert.ok(outcomes.some(({ judge }) => judge === String(next.pid)))
    },
  )
}

scenario(
  'reverse: a newer run of an instance takes over under load without one failed request',
  async (stage) => {
    const proxy = `unix:${stage.path()}`
    const gate = stage.gate({ pool: { connections: 2, retireLingerMs: 50 }, policy: { timeoutMs: 5000 } })
    await gate.listen(proxy)
    const old = await stage.judge('reverse', proxy, 5, 2, 'east')
    await stage.ready(gate)
    const load = stage.load(gate, { concurrency: CONCURRENCY })
    await eventually('the load is under way', () => load.count('allow') > CONCURRENCY)
    const next = await stage.judge('reverse', proxy, 5, 2, 'east')
    const isHeard = (): boolean => load.outcomes.some(({ judge }) => judge === String(next.pid))
    await eventually('the newer run is heard', isHeard)
    await eventually('the older run has no connection', () => gate.books.closed >= 2)
    old.tell('close')
    await within('the exit of the old agent', 5000, old.exited)
    assert.deepEqual(Object.keys(tally(await load.stop())), ['allow'])
    await stage.ready(gate)
  },
)
