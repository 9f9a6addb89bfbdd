import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConcurrencyGate } from '../../src/proxy/limits/concurrency-gate.ts'
import { Bench, chunkEvent, headersEvent } from './harness.ts'

function gate(limit: number): ConcurrencyGate {
  return new ConcurrencyGate({ min: 1, initial: limit, max: limit })
}

test('requests above the measured limit are refused before anything is sent, and a finished one makes room', async () => {
  const overload = gate(1)
  const bench = new Bench({ overload })
  const agent = bench.agent('a')
  const first = bench.open([agent])
  const second = bench.open([agent])
  const held = bench.dispatcher.dispatch(headersEvent(first), first)
  const refused = await bench.dispatcher.dispatch(headersEvent(second), second)
  assert.equal(refused.error?.code, 'OVERLOADED')
  assert.equal(bench.pool('a').sent.length, 1)
  bench.pool('a').reply()
  assert.equal((await held).decision.kind, 'allow')
  const third = bench.open([agent])
  const later = bench.dispatcher.dispatch(headersEvent(third), third)
  bench.pool('a').reply()
  assert.equal((await later).decision.kind, 'allow')
  assert.equal(overload.facts.inFlight, 0)
})

test('the rest of a request that was let in is never refused', async () => {
  const bench = new Bench({ overload: gate(1) })
  const agent = bench.agent('a')
  const first = bench.open([agent])
  const second = bench.open([agent])
  void bench.dispatcher.dispatch(headersEvent(first), first)
  const chunk = bench.dispatcher.dispatch(chunkEvent(second), second)
  bench.pool('a').sent.splice(0, 1)
  bench.pool('a').reply()
  assert.equal((await chunk).decision.kind, 'allow')
})

test('a call that fails leaves the count as it was', async () => {
  const overload = gate(5)
  const bench = new Bench({ overload })
  const scope = bench.open([bench.agent('a', { timeoutMs: 50 })])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(overload.facts.inFlight, 1)
  bench.clock.advance(60)
  assert.equal((await verdict).error?.code, 'TIMEOUT')
  assert.equal(overload.facts.inFlight, 0)
})

test('an agent that fails open is not skipped to shed load: the request is refused', async () => {
  const bench = new Bench({ overload: gate(1) })
  const agent = bench.agent('a', { onFailure: 'open' })
  const first = bench.open([agent])
  const second = bench.open([agent])
  void bench.dispatcher.dispatch(headersEvent(first), first)
  const { decision, error, bypassed } = await bench.dispatcher.dispatch(headersEvent(second), second)
  assert.equal(decision.kind, 'block')
  assert.equal(error?.code, 'OVERLOADED')
  assert.deepEqual(bypassed, [])
})
