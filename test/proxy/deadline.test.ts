import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench, headersEvent } from './harness.ts'

/** The first agent of a bench whose connections ask for more time, and one event under way to it. */
function stretched(maxTimeoutMultiplier: number, asked: number) {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100, maxTimeoutMultiplier })])
  const pool = bench.pool('a')
  pool.timeoutMultiplier = asked
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  return { bench, pool, verdict }
}

test('a degraded agent that works on an event gets the longer time it asked for', async () => {
  const { bench, pool, verdict } = stretched(5, 3)
  bench.clock.advance(290)
  assert.equal(pool.sent.length, 1)
  pool.reply()
  assert.equal((await verdict).decision.kind, 'allow')
  assert.equal(bench.wheel.size, 0)
})

test('the time that an agent asks for is bounded by configuration, and the error names what it got', async () => {
  const { bench, pool, verdict } = stretched(2, 10)
  bench.clock.advance(220)
  assert.equal(pool.leases, 0)
  const { error } = await verdict
  assert.equal(error?.code, 'TIMEOUT')
  assert.match(error.message, /within 200 ms/)
  assert.equal(bench.wheel.size, 0)
})

test('with a factor of 1 no agent can ask for more time', async () => {
  const { bench, verdict } = stretched(1, 10)
  bench.clock.advance(110)
  assert.match((await verdict).error?.message ?? '', /within 100 ms/)
})

test('an event that the agent has not got is not given more time', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100, maxTimeoutMultiplier: 5 })])
  const pool = bench.pool('a')
  pool.timeoutMultiplier = 5
  pool.refusal = 'full'
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(110)
  assert.equal((await verdict).error?.code, 'TIMEOUT')
  assert.equal(pool.waiters.length, 0)
})
