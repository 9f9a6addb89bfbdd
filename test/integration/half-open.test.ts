import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { countOf } from './load.ts'

const POOL = { connections: 2, heartbeatMs: 200, breaker: { openMs: 200 } }

scenario(
  'a stopped process is found by its heartbeat on every transport, and used again when it goes on',
  async (stage) => {
    const proxy = stage.path('proxy')
    const names = ['uds', 'grpc', 'judge'] as const
    const grpc = await stage.judge('grpc', '127.0.0.1:0')
    const policy = { timeoutMs: 500 }
    const gate = stage.gate(
      { name: 'uds', address: stage.path(), pool: POOL, connectTimeoutMs: 250, policy },
      { name: 'grpc', address: grpc.address, pool: POOL, connectTimeoutMs: 250, policy },
      { name: 'judge', pool: POOL, policy },
    )
    await gate.listen(`unix:${proxy}`)
    const agents = [
      grpc,
      ...(await Promise.all([
        stage.judge('uds', stage.path()),
        stage.judge('reverse', `unix:${proxy}`, 0, 2),
      ])),
    ]
    for (const name of names) await stage.ready(gate, name)
    for (const agent of agents) agent.signal('SIGSTOP')
    const bursts = names.map((chain) => stage.load(gate, { concurrency: 20, total: 20, chain }).done)
    for (const outcomes of await Promise.all(bursts)) {
      assert.ok(countOf(outcomes, 'TIMEOUT') >= 5, 'what was sent ran into its deadline')
      assert.equal(countOf(outcomes, 'TIMEOUT') + countOf(outcomes, 'UNAVAILABLE'), 20)
    }
    for (const name of names)
      await eventually(`no connection of ${name} is left`, () => gate.snapshot(name).active === 0, 6000)
    for (const name of names) assert.equal((await gate.ask('', name)).what, 'UNAVAILABLE')
    for (const agent of agents) agent.signal('SIGCONT')
    await Promise.all(names.map((name) => stage.recovers(gate, name)))
    for (const name of names) await stage.ready(gate, name)
  },
)
