import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import { plainAllow } from '../../src/core/reply.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { Bench, chunkEvent, eventOf, headersEvent, policy } from './harness.ts'

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

function lost(): WeirError {
  return new WeirError('CONNECTION_LOST', 'reset by peer')
}

test('when the first connection is lost the second try goes on, and its answer counts', async () => {
  const phases: string[] = []
  const bench = new Bench({
    probe: { agentCall: ({ transport, outcome }) => phases.push(`${transport} ${outcome}`) },
  })
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  pool.sent.shift()!.pending.onLost(lost())
  assert.deepEqual(pool.released, ['lost'])
  assert.equal(pool.leases, 1)
  pool.reply()
  assert.equal((await verdict).decision.kind, 'allow')
  assert.deepEqual(pool.released, ['lost', 'replied'])
  assert.deepEqual(pool.cancelled, [])
  assert.equal(phases.at(-1), 'uds allow')
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
  void bench.dispatcher.dispatch(chunkEvent(scope), scope)
  assert.equal(pool.sent[0]!.connectionId, 2)
})

test('when both connections of a hedged event are lost, the call fails as the first one did', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  pool.sent.shift()!.pending.onLost(lost())
  pool.sent.shift()!.pending.onLost(new WeirError('PROTOCOL_ERROR', 'garbage'))
  assert.equal((await verdict).error?.code, 'CONNECTION_LOST')
  assert.deepEqual(pool.released, ['lost', 'bad-reply'])
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('a second try that is left alone ends by the deadline, and its connection is the one that did not answer', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  pool.sent.shift()!.pending.onLost(lost())
  bench.clock.advance(1000)
  const { error } = await verdict
  assert.equal(error?.code, 'TIMEOUT')
  assert.equal(error.sent, true)
  assert.deepEqual(pool.released, ['lost', 'timeout'])
  assert.deepEqual(
    pool.cancelled.map(({ connectionId, reason }) => [connectionId, reason]),
    [[2, 'timeout']],
  )
  assert.equal(bench.wheel.size, 0)
})

test('a client that goes away ends a second try that is left alone', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const pool = bench.pool('a')
  bench.clock.advance(60)
  pool.sent.shift()!.pending.onLost(lost())
  bench.dispatcher.abort(scope, 'client-disconnect')
  assert.equal((await verdict).error?.code, 'CANCELLED')
  assert.deepEqual(pool.released, ['lost', 'cancelled'])
  assert.equal(pool.cancelled[0]?.reason, 'client-disconnect')
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('an abort tells both connections of a hedged event, each once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2])])
  const pool = bench.pool('a')
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(60)
  bench.dispatcher.abort(scope, 'client-disconnect')
  assert.equal((await verdict).error?.code, 'CANCELLED')
  assert.deepEqual(
    pool.cancelled.map(({ connectionId, reason }) => [connectionId, reason]),
    [
      [2, 'client-disconnect'],
      [1, 'client-disconnect'],
    ],
  )
  assert.deepEqual([pool.leases, pool.pins, bench.wheel.size], [0, 0, 0])
})

test('an abort ends the events before a hedge that was left alone as well', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', hedged, [1, 2, 3])])
  const pool = bench.pool('a')
  const chunk = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  pool.live = [2, 3]
  const head = bench.dispatcher.dispatch(eventOf('response-headers', scope), scope)
  bench.clock.advance(60)
  const [, first] = pool.sent
  pool.sent.splice(1, 1)
  first!.pending.onLost(lost())
  bench.dispatcher.abort(scope, 'client-disconnect')
  assert.deepEqual(
    [await chunk, await head].map(({ error }) => error?.code),
    ['CANCELLED', 'CANCELLED'],
  )
  assert.equal(scope.calls, null)
  assert.deepEqual([pool.leases, bench.wheel.size], [0, 0])
})

test('a connection of a whole pool that dies in the middle of a hedge costs nothing but itself', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 2 })
  const wheel = new TimerWheel(clock)
  const dispatcher = new AgentDispatcher({ clock, wheel, probe: {}, limits: undefined })
  const chain = new AgentChain('route', [{ policy: policy('waf', hedged), pool }])
  const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
  const verdict = dispatcher.dispatch(headersEvent(scope), scope)
  const first = dialer.alive.find(({ pendingCount }) => pendingCount === 1)!
  clock.advance(60)
  const second = dialer.alive.find((one) => one !== first)!
  assert.equal(second.pendingCount, 1)
  first.transitionTo('closed')
  assert.equal(second.reply(), true)
  assert.equal((await verdict).decision.kind, 'allow')
  dispatcher.close(scope, undefined)
  const { inFlight, errors, lost: lostConnections } = pool.snapshot()
  assert.deepEqual({ inFlight, errors, lostConnections }, { inFlight: 0, errors: 1, lostConnections: 1 })
  assert.equal(wheel.size, 0)
})
