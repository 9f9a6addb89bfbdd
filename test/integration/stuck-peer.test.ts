import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

/** Together far more than the kernel holds for a peer that does not read. */
const BURST = 400
const BYTES = 4000
/** Bound on what may be queued for the stuck connection: kernel and high-water mark are far below. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024

scenario('a peer that stops reading slows nobody else down, and memory stays bounded', async (stage) => {
  await Promise.all([stage.brute('stuck', stage.path('stuck')), stage.judge('uds', stage.path('calm'))])
  const pool = { connections: 2, heartbeatMs: 200, maxConcurrentPerConnection: 1000 }
  const gate = stage.gate(
    { name: 'stuck', address: stage.path('stuck'), pool, policy: { timeoutMs: 8000 } },
    { name: 'calm', address: stage.path('calm'), pool },
  )
  for (const name of ['stuck', 'calm']) await stage.ready(gate, name)
  const before = process.memoryUsage().arrayBuffers
  const calm = stage.load(gate, { concurrency: 10, chain: 'calm' })
  const burst = stage.load(gate, {
    concurrency: BURST,
    total: BURST,
    chain: 'stuck',
    mark: 'x'.repeat(BYTES),
  })
  await eventually('one connection takes no more', () =>
    gate.snapshot('stuck').connections.some((one) => !one.isWritable),
  )
  const [stuck] = gate.snapshot('stuck').connections.filter((one) => !one.isWritable)
  assert.ok(stuck!.inFlight * BYTES < 1024 * 1024, `${stuck!.inFlight} events were queued for it`)
  await eventually('the other connection answered', () => burst.outcomes.length >= BURST / 2)
  assert.ok(process.memoryUsage().arrayBuffers - before < MAX_GROWTH_BYTES)
  const { allow = 0, TIMEOUT = 0, CONNECTION_LOST = 0, ...others } = tally(await burst.done)
  assert.deepEqual(others, {})
  assert.ok(TIMEOUT + CONNECTION_LOST > 0)
  assert.ok(TIMEOUT + CONNECTION_LOST <= stuck!.requests, 'only what went to the stuck connection failed')
  assert.equal(allow + TIMEOUT + CONNECTION_LOST, BURST)
  await eventually('the heartbeat gave the stuck one up', () => gate.snapshot('stuck').lost === 1, 6000)
  await stage.ready(gate, 'stuck')
  assert.deepEqual(Object.keys(tally(await calm.stop())), ['allow'])
  const after = await stage.load(gate, { concurrency: 20, total: 100, chain: 'stuck' }).done
  assert.deepEqual(tally(after), { allow: 100 })
})
