import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ChainAgent } from '../../src/proxy/agent-policy.ts'
import { ConcurrencyGate } from '../../src/proxy/limits/concurrency-gate.ts'
import { ALLOWED, type LimitVerdict } from '../../src/proxy/limits/limit-gate.ts'
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
  assert.equal(refused.error?.retryAfterMs, 1000)
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

/** Ten requests that wait before a connection is leased, all at once. */
async function tenThatWait(bench: Bench, agent: ChainAgent, go: () => void): Promise<void> {
  const verdicts = Array.from({ length: 10 }, () => {
    const scope = bench.open([agent])
    return bench.dispatcher.dispatch(headersEvent(scope), scope)
  })
  bench.clock.advance(200)
  go()
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  while (bench.pool('a').sent.length > 0) bench.pool('a').reply()
  await Promise.all(verdicts)
}

test('the wait for a connection is measured, and neither the wait for the limit store nor a call without one', async () => {
  let letGo = (): void => {}
  const answered = new Promise<LimitVerdict>((resolve) => {
    letGo = () => resolve(ALLOWED)
  })
  const limited = gate(100)
  const slow = new Bench({ overload: limited, limits: { check: () => answered, refund() {} } })
  await tenThatWait(slow, slow.agent('a'), letGo)
  assert.equal(limited.takeQueueMs(), 0)

  const queued = gate(100)
  const full = new Bench({ overload: queued })
  const agent = full.agent('a')
  full.pool('a').refusal = 'full'
  await tenThatWait(full, agent, () => {
    while (full.pool('a').waiters.length > 0) full.pool('a').wake()
  })
  assert.equal(queued.takeQueueMs(), 256)

  const hopeless = new Bench({ overload: queued })
  const failing = hopeless.agent('a', { timeoutMs: 150 })
  hopeless.pool('a').refusal = 'full'
  await tenThatWait(hopeless, failing, () => {})
  assert.equal(queued.takeQueueMs(), 0)
})
