import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainAllow } from '../../src/core/reply.ts'
import { Bench, chunkEvent, headersEvent } from './harness.ts'

const hedged = { hedgeAfterMs: 50, timeoutMs: 1000 }

test('a header event without an answer is asked on another connection, and the faster answer wins', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  assert.deepEqual(
    pool.sent.map((sent) => sent.connectionId),
    [1, 2],
  )
  const twin = pool.sent.pop()!
  twin.pending.onReply(plainAllow(scope.correlationId))
  assert.equal((await verdict).decision.kind, 'allow')
  assert.deepEqual(
    pool.cancelled.map((cancel) => cancel.connectionId),
    [1],
  )
  assert.deepEqual([...pool.released].sort(), ['cancelled', 'replied'])
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('when the first connection answers after all, the hedge is cancelled and the pin stays with the first', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  pool.reply()
  assert.equal((await verdict).decision.kind, 'allow')
  assert.deepEqual(
    pool.cancelled.map((cancel) => cancel.connectionId),
    [2],
  )
  assert.equal(pool.leases, 0)
  assert.equal(pool.pins, 1)
  assert.equal(bench.wheel.size, 0)
  void bench.dispatcher.dispatch(chunkEvent(scope), scope)
  assert.equal(pool.sent[0]!.connectionId, 1)
})

test('an answer in time is never hedged', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(30)
  bench.pool('a').reply()
  await verdict
  bench.clock.advance(200)
  assert.equal(bench.pool('a').sent.length, 0)
  assert.deepEqual(bench.pool('a').released, ['replied'])
})

test('a lone connection is not asked the same event twice', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(60)
  assert.equal(bench.pool('a').sent.length, 1)
  bench.pool('a').reply()
  assert.equal((await verdict).decision.kind, 'allow')
  assert.equal(bench.pool('a').leases, 0)
})

test('body chunks are never hedged', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.clock.advance(60)
  assert.equal(bench.pool('a').sent.length, 1)
  bench.pool('a').reply()
  await verdict
})

test('a hedged call still ends by its deadline, and both connections are told', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(1010)
  assert.equal((await verdict).error?.code, 'TIMEOUT')
  assert.deepEqual(
    bench
      .pool('a')
      .cancelled.map((cancel) => cancel.connectionId)
      .sort((one, other) => one - other),
    [1, 2],
  )
  assert.equal(bench.pool('a').leases, 0)
  assert.equal(bench.wheel.size, 0)
})
