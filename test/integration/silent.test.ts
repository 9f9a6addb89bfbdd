import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

scenario('an agent that accepts and never shakes hands gets no request, until it does', async (stage) => {
  const agent = await stage.brute('silent')
  const gate = stage.gate({ address: stage.path(), connectTimeoutMs: 200, policy: { timeoutMs: 2000 } })
  const first = await stage.load(gate, { concurrency: 50, total: 50 }).done
  assert.deepEqual(tally(first), { UNAVAILABLE: 50 })
  for (const { latencyMs } of first) assert.ok(latencyMs < 1000, `a refusal took ${latencyMs} ms`)
  await eventually('every connection was given up once', () => gate.books.dialsFailed >= 4)
  assert.equal(gate.books.opened, 0)
  assert.equal((await gate.ask()).what, 'UNAVAILABLE')
  await agent.ask('mode answer')
  await stage.recovers(gate)
  await stage.ready(gate)
})
