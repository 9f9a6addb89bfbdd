import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 50
const POOL = { breaker: { openMs: 200 }, health: { pauseMs: 100 } }

scenario('answers after the deadline are strays: counted, and given to nobody', async (stage) => {
  const agent = await stage.brute('late')
  const closed = stage.gate({ address: stage.path(), pool: POOL, policy: { timeoutMs: 150 } })
  const open = stage.gate({
    address: stage.path(),
    pool: POOL,
    policy: { timeoutMs: 150, onFailure: 'open' },
  })
  await Promise.all([stage.ready(closed), stage.ready(open)])
  const bursts = [closed, open].map((gate) => stage.load(gate, { concurrency: BURST, total: BURST }).done)
  const [denied, bypassed] = await Promise.all(bursts)
  assert.deepEqual(tally(denied!), { TIMEOUT: BURST })
  assert.deepEqual(tally(bypassed!), { 'bypass:timeout': BURST })
  await agent.ask('mode answer')
  /* While the late answers arrive, new requests of the same connections get their own. */
  const recovering = Promise.all([stage.recovers(closed), stage.recovers(open)])
  for (const gate of [closed, open])
    await eventually('every late answer came and was a stray', () => gate.books.strays === BURST)
  await recovering
  const after = await stage.load(closed, { concurrency: 20, total: 200, chain: 'patient judge' }).done
  assert.deepEqual(tally(after), { allow: 200 })
  assert.equal(closed.books.strays, BURST)
  assert.equal(closed.snapshot().lost, 0)
})
