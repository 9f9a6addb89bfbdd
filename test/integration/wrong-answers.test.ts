import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { type Stage, scenario } from './harness.ts'
import { tally } from './load.ts'

/** Wrong answers must not be mixed with the verdicts on the agent's health, which have scenarios of their own. */
const POOL = {
  connections: 2,
  breaker: { consecutiveFailures: 1000, minimumVolume: 1000 },
  health: { consecutiveFailures: 1000, ejectBelow: 0.000_001 },
}
const COUNT = 5

/** What each wrong answer leads to, in both failure modes, and how many strays per request it makes. */
type Case = readonly [fault: string, closed: string, open: string, strays: number]

const CASES: readonly Case[] = [
  ['invented', 'TIMEOUT', 'bypass:timeout', 1],
  ['nameless', 'TIMEOUT', 'bypass:timeout', 1],
  ['twice', 'allow', 'allow', 1],
  ['status-42', 'PROTOCOL_ERROR', 'bypass:error', 0],
  ['unset', 'PROTOCOL_ERROR', 'bypass:error', 0],
]

scenario(
  'uds: a wrong answer fails its own request, is never an allow, and costs no connection',
  async (stage) => {
    await stage.brute('faults')
    await play(stage, stage.path(), [
      ...CASES,
      ['unknown', 'PROTOCOL_ERROR', 'bypass:error', 0],
      /* Bytes that are no JSON name no request. */
      ['undecodable', 'TIMEOUT', 'bypass:timeout', 1],
    ])
  },
)

scenario(
  'grpc: a wrong answer fails its own request, is never an allow, and costs no connection',
  async (stage) => {
    const { address } = await stage.bruteGrpc()
    await play(stage, address, [
      ...CASES,
      ['empty', 'TIMEOUT', 'bypass:timeout', 0],
      ['undecodable', 'TIMEOUT', 'bypass:timeout', 1],
    ])
  },
)

scenario('grpc: a stream that its server ends with an error is lost at once and replaced', async (stage) => {
  const { address } = await stage.bruteGrpc()
  const gate = stage.gate({ address, pool: POOL })
  await stage.ready(gate)
  assert.equal((await gate.ask('fault=reset')).what, 'CONNECTION_LOST')
  await eventually('it is replaced', () => gate.books.opened === 3 && gate.snapshot().available === 2)
  assert.deepEqual(tally(await stage.load(gate, { concurrency: 5, total: 50 }).done), { allow: 50 })
})

async function play(stage: Stage, address: string, cases: readonly Case[]): Promise<void> {
  const closed = stage.gate({ address, pool: POOL, policy: { timeoutMs: 200 } })
  const open = stage.gate({ address, pool: POOL, policy: { timeoutMs: 200, onFailure: 'open' } })
  await Promise.all([stage.ready(closed), stage.ready(open)])
  let strays = 0
  for (const [fault, whenClosed, whenOpen, straysEach] of cases) {
    /* Sound requests side by side on the same connections. */
    const sound = stage.load(closed, { concurrency: 5, total: 50, chain: 'patient judge' }).done
    const chain = whenClosed === 'TIMEOUT' ? 'judge' : 'patient judge'
    const options = { concurrency: COUNT, total: COUNT, mark: `fault=${fault}`, chain }
    const [denied, bypassed] = await Promise.all([closed, open].map((gate) => stage.load(gate, options).done))
    assert.deepEqual(tally(denied!), { [whenClosed]: COUNT }, fault)
    assert.deepEqual(tally(bypassed!), { [whenOpen]: COUNT }, fault)
    assert.deepEqual(tally(await sound), { allow: 50 }, fault)
    strays += straysEach * COUNT
    for (const gate of [closed, open])
      await eventually(`${fault} made its strays`, () => gate.books.strays === strays, 2000)
  }
  for (const gate of [closed, open]) assert.deepEqual([gate.books.opened, gate.snapshot().lost], [2, 0])
}
