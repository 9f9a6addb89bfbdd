import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { RECOVERY_MS, scenario } from './harness.ts'
import { tally } from './load.ts'

const DEATHS = 10

scenario('an agent that dies and dials in again ten times is never locked out', async (stage) => {
  const proxy = `unix:${stage.path()}`
  const gate = stage.gate({ pool: { connections: 2 } })
  await gate.listen(proxy)
  const load = stage.load(gate, { concurrency: 20 })
  for (let death = 0; death < DEATHS; death++) {
    /* In turn the same instance again, and one that the gate has never heard of. */
    const agent = await stage.judge('reverse', proxy, 1, 2, death % 2 === 0 ? 'east' : `west-${death}`)
    const isHeard = (): boolean => load.outcomes.some(({ judge }) => judge === String(agent.pid))
    await eventually(`run ${death} is heard`, isHeard, RECOVERY_MS + 1000)
    await agent.kill()
  }
  await eventually('the last run is known to be gone', () => gate.snapshot().active === 0)
  const { allow = 0, UNAVAILABLE = 0, CONNECTION_LOST = 0, ...others } = tally(await load.stop())
  assert.deepEqual(others, {})
  assert.ok(allow > 0 && UNAVAILABLE > 0)
  /* The connections of a dead process end one after the other: who was lost on the first may ask on the second. */
  assert.ok(CONNECTION_LOST <= 2 * DEATHS * 20, `${CONNECTION_LOST} lost: only what was in flight may be`)
})

scenario('agents over the limit stay outside, and come in when a place is free', async (stage) => {
  const proxy = `unix:${stage.path()}`
  const gate = stage.gate({ pool: { connections: 2 } })
  await gate.listen(proxy)
  const first = await stage.judge('reverse', proxy, 0, 2, 'first')
  await stage.ready(gate)
  const second = await stage.judge('reverse', proxy, 0, 2, 'second')
  await eventually('the second was refused', () => gate.refusals.length >= 4)
  const full = await stage.load(gate, { concurrency: 10, total: 50 }).done
  assert.ok(full.every(({ judge }) => judge === String(first.pid)))
  assert.equal(gate.snapshot().active, 2)
  await first.kill()
  await eventually('the places are free', () => gate.snapshot().lost === 2)
  await stage.recovers(gate)
  await stage.ready(gate)
  const after = await stage.load(gate, { concurrency: 10, total: 50 }).done
  assert.ok(after.every(({ judge }) => judge === String(second.pid)))
})
