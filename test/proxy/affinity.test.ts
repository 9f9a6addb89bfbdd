import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentEvent, BodyChunkEvent, EventKind } from '../../src/core/event.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import type { RequestScope } from '../../src/proxy/request-scope.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { Bench, chunkEvent, eventOf, headersEvent, policy } from './harness.ts'

for (const kind of ['request-body-chunk', 'response-body-chunk'] as const)
  test(`all pieces of a body go to one connection, though the agent gets nothing but ${kind}`, async () => {
    const { pool, clock, dialer } = await startedPool({ connections: 4 })
    const wheel = new TimerWheel(clock)
    const dispatcher = new AgentDispatcher({ clock, wheel, probe: {}, limits: undefined })
    const chain = new AgentChain('route', [{ policy: policy('waf', { events: new Set([kind]) }), pool }])
    const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
    const ask = (n: number) =>
      dispatcher.dispatch({ ...(chunkEvent(scope, n, n === 3) as BodyChunkEvent), kind }, scope)
    const ahead = [ask(0), ask(1)]
    const [home] = dialer.alive.filter(({ sent }) => sent.length > 0)
    while (home!.pendingCount > 0) home!.reply()
    await Promise.all(ahead)
    for (const n of [2, 3]) {
      const verdict = ask(n)
      home!.reply()
      await verdict
    }
    assert.deepEqual(
      home!.sent.map((event) => (event as BodyChunkEvent).chunkIndex),
      [0, 1, 2, 3],
    )
    assert.equal(dialer.alive.filter(({ sent }) => sent.length > 0).length, 1)
    dispatcher.close(scope, undefined)
    assert.equal(pool.snapshot().inFlight, 0)
  })

test('an agent that may get several events of a request has a pin of it, any other has none', async () => {
  const kinds: readonly (readonly [EventKind, number])[] = [
    ['request-headers', 0],
    ['response-headers', 0],
    ['guardrail-inspect', 0],
    ['request-body-chunk', 1],
    ['response-body-chunk', 1],
    ['websocket-frame', 1],
  ]
  for (const [kind, pins] of kinds) {
    const bench = new Bench()
    const scope = bench.open([bench.agent('a', { events: new Set([kind]) })])
    const verdict = bench.dispatcher.dispatch(eventOf(kind, scope), scope)
    bench.pool('a').reply()
    await verdict
    assert.equal(bench.pool('a').pins, pins, kind)
    bench.dispatcher.close(scope, undefined)
    assert.equal(bench.pool('a').pins, 0, kind)
  }
})

test('an event that starts afresh elsewhere never takes the rest of a body along', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const pool = bench.pool('a')
  await answered(bench, headersEvent(scope), scope)
  await answered(bench, chunkEvent(scope, 0), scope)
  pool.live = [2]
  assert.equal((await answered(bench, eventOf('response-headers', scope), scope)).decision.kind, 'allow')
  const lost = await bench.dispatcher.dispatch(chunkEvent(scope, 1, true), scope)
  assert.equal(lost.error?.code, 'AFFINITY_LOST')
  assert.deepEqual(pool.sent, [])
  const other = { ...chunkEvent(scope, 0), kind: 'response-body-chunk' } as BodyChunkEvent
  assert.equal((await answered(bench, other, scope)).decision.kind, 'allow', 'the other body began there')
})

test('an event that fails over to another connection never takes the rest of a body along', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const pool = bench.pool('a')
  await answered(bench, chunkEvent(scope, 0), scope)
  pool.brokenBeforeSending.add(1)
  const head = await answered(bench, eventOf('response-headers', scope), scope)
  assert.equal(head.decision.kind, 'allow')
  const lost = await bench.dispatcher.dispatch(chunkEvent(scope, 1, true), scope)
  assert.equal(lost.error?.code, 'AFFINITY_LOST')
  assert.deepEqual(pool.sent, [])
})

test('a body of a request stays with the head of the request, though the response began elsewhere', async () => {
  for (const isBroken of [true, false]) {
    const bench = new Bench()
    const scope = bench.open([bench.agent('a', {}, [1, 2])])
    const pool = bench.pool('a')
    await answered(bench, headersEvent(scope), scope)
    if (isBroken) pool.brokenBeforeSending.add(1)
    else pool.live = [2]
    assert.equal((await answered(bench, eventOf('response-headers', scope), scope)).decision.kind, 'allow')
    const lost = await bench.dispatcher.dispatch(chunkEvent(scope, 0), scope)
    assert.equal(lost.error?.code, 'AFFINITY_LOST')
    const other = { ...chunkEvent(scope, 0), kind: 'response-body-chunk' } as BodyChunkEvent
    assert.equal((await answered(bench, other, scope)).decision.kind, 'allow')
  }
})

for (const kind of ['guardrail-inspect', 'websocket-frame'] as const)
  test(`the body of a response stays with its head, though a ${kind} event went on elsewhere`, async () => {
    for (const isBroken of [true, false]) {
      const bench = new Bench()
      const scope = bench.open([bench.agent('a', {}, [1, 2])])
      const pool = bench.pool('a')
      await answered(bench, eventOf('response-headers', scope), scope)
      if (isBroken) pool.brokenBeforeSending.add(1)
      else pool.live = [2]
      assert.equal((await answered(bench, eventOf(kind, scope), scope)).decision.kind, 'allow')
      const lost = await bench.dispatcher.dispatch(eventOf('response-body-chunk', scope), scope)
      assert.equal(lost.error?.code, 'AFFINITY_LOST')
      assert.deepEqual(pool.sent, [])
    }
  })

test('the body of a response that began after the loss goes where its head went', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const pool = bench.pool('a')
  await answered(bench, headersEvent(scope), scope)
  pool.live = [2]
  await answered(bench, eventOf('guardrail-inspect', scope), scope)
  await answered(bench, eventOf('response-headers', scope), scope)
  const verdict = bench.dispatcher.dispatch(eventOf('response-body-chunk', scope), scope)
  assert.deepEqual(
    pool.sent.map(({ connectionId }) => connectionId),
    [2],
  )
  pool.reply()
  assert.equal((await verdict).decision.kind, 'allow')
})

test('a body whose first piece could not be sent begins on another connection and stays there', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const pool = bench.pool('a')
  pool.brokenBeforeSending.add(1)
  await answered(bench, chunkEvent(scope, 0), scope)
  void bench.dispatcher.dispatch(chunkEvent(scope, 1, true), scope)
  assert.deepEqual(
    pool.sent.map(({ connectionId }) => connectionId),
    [2],
  )
})

/** The verdict of an event that its agent lets pass. */
function answered(bench: Bench, event: AgentEvent, scope: RequestScope): Promise<Verdict> {
  const verdict = bench.dispatcher.dispatch(event, scope)
  bench.pool('a').reply()
  return verdict
}
