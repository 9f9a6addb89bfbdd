import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import type { Gate } from './gate.ts'
import { scenario } from './harness.ts'

const SESSIONS = 12
const KEYS = Array.from({ length: SESSIONS }, (_, n) => `session-${n}`)

scenario(
  'reverse: an agent dies: its sessions move to the other one once, those of the other one stay',
  async (stage) => {
    const proxy = `unix:${stage.path()}`
    const gate = stage.gate({ pool: { connections: 2 } })
    await gate.listen(proxy)
    const east = await stage.judge('reverse', proxy, 0, 1, 'east')
    const west = await stage.judge('reverse', proxy, 0, 1, 'west')
    await stage.ready(gate)
    const homes = await homesOf(gate)
    const count = (pid: number): number => homes.filter((judge) => judge === String(pid)).length
    assert.deepEqual([count(east.pid), count(west.pid)], [SESSIONS / 2, SESSIONS / 2])
    for (let turn = 0; turn < 3; turn++) assert.deepEqual(await homesOf(gate), homes, 'a session stays')
    await east.ask('hold')
    const inFlight = KEYS.map((key) => gate.ask('', 'judge', key))
    await eventually('it has its own', async () => Number(await east.ask('held')) === SESSIONS / 2)
    await east.kill()
    const outcomes = await Promise.all(inFlight)
    outcomes.forEach(({ what }, n) => {
      assert.equal(what, homes[n] === String(west.pid) ? 'allow' : 'CONNECTION_LOST')
    })
    const moved = KEYS.map(() => String(west.pid))
    assert.deepEqual(await homesOf(gate), moved)
    assert.equal(gate.snapshot().sessions, SESSIONS)
    const again = await stage.judge('reverse', proxy, 0, 1, 'east')
    await stage.ready(gate)
    assert.deepEqual(await homesOf(gate), moved, 'a session does not move back')
    const others = await Promise.all(Array.from({ length: SESSIONS }, () => gate.ask()))
    assert.ok(
      others.some(({ judge }) => judge === String(again.pid)),
      'the agent that is back gets events without a session',
    )
  },
)

/** Who answers each session now. */
async function homesOf(gate: Gate): Promise<readonly (string | undefined)[]> {
  const outcomes = await Promise.all(KEYS.map((key) => gate.ask('', 'judge', key)))
  for (const { what } of outcomes) assert.equal(what, 'allow')
  return outcomes.map(({ judge }) => judge)
}
