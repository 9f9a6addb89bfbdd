import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import type { Gate } from './gate.ts'
import { type Stage, scenario } from './harness.ts'
import { tally } from './load.ts'

const CONCURRENCY = 200
/** Milliseconds per answer, so that the kill meets requests in flight. */
const DELAY_MS = 20

for (const onFailure of ['closed', 'open'] as const) {
  const then = onFailure === 'closed' ? 'denied' : 'bypassed and counted'
  scenario(
    `uds: an agent is killed under 200 requests: each is ${then}, and its successor is used`,
    async (stage) => {
      const agent = await stage.judge('uds', stage.path(), DELAY_MS)
      const gate = stage.gate({ address: stage.path(), policy: { onFailure } })
      await crash(
        stage,
        gate,
        () => agent.kill(),
        () => stage.judge('uds', stage.path(), DELAY_MS),
        onFailure,
      )
    },
  )
}

scenario(
  'grpc: an agent is killed under 200 requests: each is denied, and its successor is used',
  async (stage) => {
    const agent = await stage.judge('grpc', '127.0.0.1:0', DELAY_MS)
    const gate = stage.gate({ address: agent.address })
    await crash(
      stage,
      gate,
      () => agent.kill(),
      () => stage.judge('grpc', agent.address, DELAY_MS),
      'closed',
    )
  },
)

async function crash(
  stage: Stage,
  gate: Gate,
  kill: () => Promise<void>,
  restart: () => Promise<unknown>,
  onFailure: 'closed' | 'open',
): Promise<void> {
  await stage.ready(gate)
  const load = stage.load(gate, { concurrency: CONCURRENCY })
  await eventually('the load is under way', () => load.count('allow') > CONCURRENCY)
  assert.deepEqual(Object.keys(tally(load.outcomes)), ['allow'])
  const allowed = load.outcomes.length
  await kill()
  await eventually('every connection is known to be lost', () => gate.snapshot().active === 0)
  assert.ok(gate.snapshot().lost >= 4)
  await restart()
  await stage.recovers(gate)
  const failed = (await load.stop()).slice(allowed).filter(({ what }) => what !== 'allow')
  assert.ok(failed.length >= CONCURRENCY / 2, `only ${failed.length} requests met the crash`)
  const expected = onFailure === 'closed' ? ['CONNECTION_LOST', 'UNAVAILABLE'] : ['bypass:unavailable']
  for (const { what } of failed) assert.ok(expected.includes(what), `a request was ${what}`)
}
