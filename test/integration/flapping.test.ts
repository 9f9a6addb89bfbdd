import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { RECOVERY_MS, scenario } from './harness.ts'
import { tally } from './load.ts'

const ROUNDS = 3
/** What the agent does, not a wait for anything: it dies this long after it was first heard. */
const LIFE_MS = 300

scenario('an agent that dies every 300 ms is heard in every one of its lives', async (stage) => {
  const gate = stage.gate({ address: stage.path() })
  const load = stage.load(gate, { concurrency: 50 })
  for (let round = 0; round < ROUNDS; round++) {
    const agent = await stage.judge('uds', stage.path(), 5)
    const isHeard = (): boolean => load.outcomes.some(({ judge }) => judge === String(agent.pid))
    await eventually(`life ${round} is heard`, isHeard, RECOVERY_MS + 1000)
    await sleep(LIFE_MS)
    await agent.kill()
  }
  await stage.judge('uds', stage.path())
  await stage.recovers(gate)
  await stage.ready(gate)
  const counts = tally(await load.stop())
  const { allow = 0, UNAVAILABLE = 0, CONNECTION_LOST = 0, ...others } = counts
  assert.deepEqual(others, {})
  assert.ok(allow > 0 && UNAVAILABLE > 0)
  assert.ok(CONNECTION_LOST <= ROUNDS * 50, 'only what was in flight was lost')
  assert.ok(gate.snapshot().lost <= ROUNDS * 4, 'no more connections were lost than there were')
})
