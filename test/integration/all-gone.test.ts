import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

const BURST = 50
/** Far below the deadline: with nobody there, nobody is waited for. */
const AT_ONCE_MS = 1000

scenario(
  'with every agent gone, fail-closed denies at once with a 503 and fail-open counts a bypass',
  async (stage) => {
    const policy = { timeoutMs: 5000 }
    const agents = await Promise.all(['waf', 'pii'].map((name) => stage.judge('uds', stage.path(name))))
    const gate = stage.gate(
      { name: 'pii', address: stage.path('pii'), policy: { ...policy, onFailure: 'open' } },
      { name: 'waf', address: stage.path('waf'), policy },
    )
    for (const name of ['pii', 'waf']) await stage.ready(gate, name)
    assert.equal((await gate.ask('', 'all')).what, 'allow')
    for (const agent of agents) await agent.kill()
    for (const name of ['pii', 'waf'])
      await eventually(`${name} is known to be gone`, () => gate.snapshot(name).active === 0)
    const bursts = ['waf', 'pii', 'all'].map(
      (chain) => stage.load(gate, { concurrency: BURST, total: BURST, chain }).done,
    )
    const [waf, pii, all] = await Promise.all(bursts)
    assert.deepEqual(tally(waf!), { UNAVAILABLE: BURST })
    assert.deepEqual(tally(pii!), { 'bypass:unavailable': BURST })
    assert.deepEqual(tally(all!), { UNAVAILABLE: BURST })
    for (const { verdict } of [...waf!, ...all!]) {
      assert.equal(verdict.decision.kind === 'block' && verdict.decision.status, 503)
      assert.equal(verdict.error!.httpStatus, 503)
      assert.equal(verdict.error!.sent, false)
      assert.equal(verdict.decidedBy, 'waf')
    }
    for (const { latencyMs } of [...waf!, ...pii!, ...all!])
      assert.ok(latencyMs < AT_ONCE_MS, `it took ${latencyMs} ms to know that nobody is there`)
    assert.equal(gate.books.bypasses.length, 2 * BURST)
    await stage.judge('uds', stage.path('waf'))
    await stage.recovers(gate, 'waf')
  },
)
