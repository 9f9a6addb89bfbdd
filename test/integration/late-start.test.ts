import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { scenario } from './harness.ts'
import { tally } from './load.ts'

scenario('agents that are down at the start are no error, and are used when they come', async (stage) => {
  const gone = await stage.judge('grpc', '127.0.0.1:0')
  await gone.kill()
  const gate = stage.gate(
    { name: 'uds', address: stage.path() },
    { name: 'grpc', address: gone.address },
    { name: 'judge', pool: { connections: 2 } },
  )
  await gate.listen(`unix:${stage.path('proxy')}`)
  const names = ['uds', 'grpc', 'judge']
  for (const chain of names) {
    const outcomes = await stage.load(gate, { concurrency: 20, total: 20, chain }).done
    assert.deepEqual(tally(outcomes), { UNAVAILABLE: 20 }, chain)
  }
  await eventually('dials failed', () => gate.books.dialsFailed >= 8)
  await Promise.all([
    stage.judge('uds', stage.path()),
    stage.judge('grpc', gone.address),
    stage.judge('reverse', `unix:${stage.path('proxy')}`, 0, 2),
  ])
  await Promise.all(names.map((name) => stage.recovers(gate, name)))
  for (const name of names) await stage.ready(gate, name)
})
