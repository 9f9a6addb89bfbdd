import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import type { RequestCompleteEvent } from '../../src/core/event.ts'
import type { Probe } from '../../src/core/probe.ts'
import { ALL_EVENTS, Bench, eventOf, headersEvent } from './harness.ts'

test('an event that no agent of the chain wants is allowed without asking', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { events: new Set(['response-headers']) })])
  assert.equal((await bench.dispatcher.dispatch(headersEvent(scope), scope)).decision.kind, 'allow')
  assert.equal(bench.pool('a').sent.length, 0)
})

test('an aborted request settles its calls and tells only the connection that has it', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [5])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.dispatcher.abort(scope, 'client-disconnect')
  assert.equal((await verdict).error?.code, 'CANCELLED')
  assert.deepEqual(bench.pool('a').cancelled, [
    { id: scope.correlationId, reason: 'client-disconnect', connectionId: 5 },
  ])
  assert.equal(bench.pool('a').leases, 0)
  assert.equal(bench.dispatcher.openRequests, 0)
})

test('an agent that answered already is told of the abort on its pinned connection', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [5])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await verdict
  bench.dispatcher.abort(scope, 'upstream-error')
  assert.deepEqual(
    bench.pool('a').cancelled.map((cancel) => cancel.reason),
    ['upstream-error'],
  )
})

test('a late reply after an abort changes nothing', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const { pending } = bench.pool('a').sent[0]!
  bench.dispatcher.abort(scope, 'manual')
  pending.onLost(new WeirError('CONNECTION_LOST', 'late'))
  assert.equal((await verdict).error?.code, 'CANCELLED')
  assert.deepEqual(bench.pool('a').released, ['cancelled'])
})

test('closing a request sends request-complete to the agents that want it, once', () => {
  const bench = new Bench()
  const scope = bench.open([
    bench.agent('a', { events: new Set(['request-complete']) }),
    bench.agent('b', { events: new Set(ALL_EVENTS) }),
  ])
  const summary = eventOf('request-complete', scope) as RequestCompleteEvent
  bench.dispatcher.close(scope, summary)
  bench.dispatcher.close(scope, summary)
  assert.deepEqual(
    bench.pool('a').sent.map((sent) => sent.event.kind),
    ['request-complete'],
  )
  assert.equal(bench.pool('b').sent.length, 0)
  assert.equal(bench.dispatcher.openRequests, 0)
})

test('an event of a closed request is refused', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  bench.dispatcher.close(scope, undefined)
  const { error, decidedBy } = await bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(error?.code, 'CANCELLED')
  assert.equal(decidedBy, undefined, 'no agent had a part in it')
})

test('open requests are bounded, and a closed one makes room', () => {
  const bench = new Bench({ maxOpenRequests: 2 })
  const agents = [bench.agent('a')]
  const first = bench.open(agents)
  bench.open(agents)
  assert.throws(
    () => bench.open(agents),
    (error: WeirError) => error.code === 'OVERLOADED',
  )
  bench.dispatcher.close(first, undefined)
  assert.doesNotThrow(() => bench.open(agents))
})

test('draining refuses new requests, waits for open ones and is one promise', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const drained = bench.dispatcher.drain(10_000)
  assert.equal(bench.dispatcher.drain(1), drained)
  assert.throws(
    () => bench.open([]),
    (error: WeirError) => error.code === 'DRAINING',
  )
  let done = false
  void drained.then(() => {
    done = true
  })
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  assert.equal((await verdict).decision.kind, 'allow', 'requests already open go on')
  assert.equal(done, false)
  bench.dispatcher.close(scope, undefined)
  await drained
})

test('a drain that reaches its deadline aborts what is left', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  const drained = bench.dispatcher.drain(100)
  bench.clock.advance(101)
  await drained
  assert.equal((await verdict).error?.code, 'CANCELLED')
  assert.deepEqual(
    bench.pool('a').cancelled.map((cancel) => cancel.reason),
    ['proxy-shutdown'],
  )
  assert.equal(bench.dispatcher.openRequests, 0)
})

test('two open requests never share a correlation id', () => {
  const bench = new Bench()
  const ids = new Set<string>()
  for (let n = 0; n < 70_000; n++) ids.add(bench.open([]).correlationId)
  assert.equal(ids.size, 70_000)
})

test('a request pins its connection once while it is open, and lets go of it at its end', async () => {
  const bench = new Bench()
  for (const end of ['close', 'abort'] as const) {
    const scope = bench.open([bench.agent('a', {}, [1, 2])])
    const pool = bench.pool('a')
    for (let round = 0; round < 3; round++) {
      const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
      pool.reply()
      await verdict
      assert.equal(pool.pins, 1)
    }
    if (end === 'close') bench.dispatcher.close(scope, undefined)
    else bench.dispatcher.abort(scope, 'client-disconnect')
    assert.equal(pool.pins, 0, end)
  }
})

test('an agent that gets one kind of event pins nothing', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { events: new Set(['request-headers']) })])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await verdict
  assert.equal(bench.pool('a').pins, 0)
})

test('the last word about a request pins nothing', () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { events: new Set(['request-headers', 'request-complete']) })])
  bench.dispatcher.close(scope, eventOf('request-complete', scope) as RequestCompleteEvent)
  assert.equal(bench.pool('a').pins, 0)
})

test('calls of every kind of event are counted, answered ones and failed ones alike', async () => {
  const counted: string[] = []
  const probe: Probe = { agentCall: ({ phase, outcome }) => void counted.push(`${phase} ${outcome}`) }
  const bench = new Bench({ probe })
  const kinds = [...ALL_EVENTS, 'request-complete'] as const
  const agent = bench.agent('a', { events: new Set(kinds) })
  for (const kind of ALL_EVENTS) {
    const scope = bench.open([agent])
    for (const isAnswered of [true, false]) {
      const verdict = bench.dispatcher.dispatch(eventOf(kind, scope), scope)
      if (isAnswered) bench.pool('a').reply()
      else bench.pool('a').sent.shift()!.pending.onLost(new WeirError('CONNECTION_LOST', 'gone'))
      await verdict
    }
    bench.dispatcher.close(scope, eventOf('request-complete', scope) as RequestCompleteEvent)
    bench.pool('a').reply()
  }
  const completed = ALL_EVENTS.map(() => 'request-complete allow')
  assert.deepEqual(
    counted.filter((line) => line.startsWith('request-complete')),
    completed,
  )
  assert.deepEqual(
    counted.filter((line) => !line.startsWith('request-complete')),
    ALL_EVENTS.flatMap((kind) => [`${kind} allow`, `${kind} CONNECTION_LOST`]),
  )
})
