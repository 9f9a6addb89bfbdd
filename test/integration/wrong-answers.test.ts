import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

/** Wrong answers must not be mixed with the verdicts on the agent's health, which have scenarios of their own. */
const POOL = {
  connections: 2,
  breaker: { consecutiveFailures: 1000, minimumVolume: 1000 },
  health: { consecutiveFailures: 1000, ejectBelow: 0.000_001 },
}
const COUNT = 5

/** What each wrong answer leads to, in both failure modes, and how many strays per request it makes. */
const CASES: readonly (readonly [fault: string, closed: string, open: string, strays: number])[] = [
  ['invented', 'TIMEOUT', 'bypass:timeout', 1],
  ['nameless', 'TIMEOUT', 'bypass:timeout', 1],
  ['twice', 'allow', 'allow', 1],
  ['undecodable', 'TIMEOUT', 'bypass:timeout', 1],
  ['status-42', 'PROTOCOL_ERROR', 'bypass:error', 0],
  ['unset', 'PROTOCOL_ERROR', 'bypass:error', 0],
  ['unknown', 'PROTOCOL_ERROR', 'bypass:error', 0],
]

scenario(
  'a wrong answer is a failure of its own request, never an allow, and costs no connection',
  async (stage) => {
    await stage.brute('faults')
    const closed = stage.gate({ address: stage.path(), pool: POOL, policy: { timeoutMs: 250 } })
    const open = stage.gate({
      address: stage.path(),
      pool: POOL,
      policy: { timeoutMs: 250, onFailure: 'open' },
    })
    await Promise.all([stage.ready(closed), stage.ready(open)])
    let strays = 0
    for (const [fault, whenClosed, whenOpen, straysEach] of CASES) {
      const chain = whenClosed === 'TIMEOUT' ? 'judge' : 'patient judge'
      const options = { concurrency: COUNT, total: COUNT, mark: `fault=${fault}`, chain }
      /* Sound requests side by side on the same connections. */
      const sound = stage.load(closed, { concurrency: 5, total: 50, chain: 'patient judge' }).done
      const [denied, bypassed] = await Promise.all(
        [closed, open].map((gate) => stage.load(gate, options).done),
      )
      assert.deepEqual(tally(denied!), { [whenClosed]: COUNT }, fault)
      assert.deepEqual(tally(bypassed!), { [whenOpen]: COUNT }, fault)
      assert.deepEqual(tally(await sound), { allow: 50 }, fault)
      strays += straysEach * COUNT
      for (const gate of [closed, open])
        await eventually(`${fault} made its strays`, () => gate.books.strays === strays, 1000)
    }
    for (const gate of [closed, open]) assert.deepEqual([gate.books.opened, gate.snapshot().lost], [2, 0])
  },
)
