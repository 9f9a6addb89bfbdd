import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureAudit, failureReply } from '../../src/core/agent-failure.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { EventKind, RequestCompleteEvent } from '../../src/core/event.ts'
import type { BypassReason } from '../../src/core/probe.ts'
import { failureOutcome } from '../../src/proxy/failure-mode.ts'
import { Bench, chunkEvent, eventOf, headersEvent, policy } from './harness.ts'

const CELLS: readonly (readonly [EventKind, boolean, 'closed' | 'open', 'deny' | 'skip'])[] = [
  ['request-headers', false, 'closed', 'deny'],
  ['request-headers', true, 'closed', 'deny'],
  ['request-headers', false, 'open', 'skip'],
  ['request-headers', true, 'open', 'skip'],
  ['request-body-chunk', false, 'closed', 'deny'],
  ['request-body-chunk', true, 'closed', 'deny'],
  ['request-body-chunk', false, 'open', 'skip'],
  ['request-body-chunk', true, 'open', 'deny'],
  ['response-headers', false, 'closed', 'deny'],
  ['response-headers', true, 'closed', 'deny'],
  ['response-headers', false, 'open', 'skip'],
  ['response-headers', true, 'open', 'skip'],
  ['response-body-chunk', false, 'closed', 'deny'],
  ['response-body-chunk', true, 'closed', 'deny'],
  ['response-body-chunk', false, 'open', 'skip'],
  ['response-body-chunk', true, 'open', 'deny'],
  ['websocket-frame', false, 'closed', 'deny'],
  ['websocket-frame', false, 'open', 'skip'],
  ['websocket-frame', true, 'open', 'skip'],
  ['guardrail-inspect', false, 'closed', 'deny'],
  ['guardrail-inspect', false, 'open', 'skip'],
  ['request-complete', true, 'closed', 'skip'],
  ['configure', false, 'closed', 'skip'],
]

for (const [phase, committed, mode, outcome] of CELLS) {
  const when = committed ? 'body bytes handed on' : 'nothing handed on'
  test(`an agent that times out at ${phase}, fail-${mode}, ${when}: ${outcome}`, async () => {
    const bench = new Bench()
    const events = new Set([phase, 'request-headers' as const])
    const scope = bench.open([bench.agent('a', { onFailure: mode, timeoutMs: 200, events })])
    scope.requestBodyCommitted = committed
    scope.responseBodyCommitted = committed
    if (phase === 'request-complete' || phase === 'configure') {
      const error = new WeirError('TIMEOUT', 'late')
      assert.equal(failureOutcome(policy('a', { onFailure: mode }), phase, error, scope), outcome)
      return
    }
    const verdict = bench.dispatcher.dispatch(eventOf(phase, scope), scope)
    bench.clock.advance(250)
    const { decision, error, bypassed, decidedBy } = await verdict
    if (outcome === 'deny') {
      assert.equal(decision.kind === 'block' && decision.status, 504)
      assert.equal(error?.code, 'TIMEOUT')
      assert.equal(decidedBy, 'a')
    } else {
      assert.equal(decision.kind, 'allow')
      assert.deepEqual(bypassed, [{ agent: 'a', reason: 'timeout' }])
    }
  })
}

test('a timeout abandons the event, tells the one connection that has it, and releases the lease', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 }, [7, 8])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(120)
  await verdict
  const pool = bench.pool('a')
  assert.deepEqual(pool.cancelled, [{ id: scope.correlationId, reason: 'timeout', connectionId: 7 }])
  assert.equal(pool.sent.length, 0)
  assert.deepEqual(pool.released, ['timeout'])
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('what was not sent is tried on another connection, and the agent sees it once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  bench.pool('a').brokenBeforeSending.add(1)
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.deepEqual(
    bench.pool('a').sent.map((sent) => sent.connectionId),
    [2],
  )
  bench.pool('a').reply()
  assert.equal((await verdict).decision.kind, 'allow')
  assert.deepEqual(bench.pool('a').released, ['not-sent', 'replied'])
})

test("an agent's own failure follows its failure mode and is no decision", async () => {
  const bench = new Bench()
  const thrown = new WeirError('INTERNAL', 'rule set is broken')
  for (const onFailure of ['open', 'closed'] as const) {
    const scope = bench.open([bench.agent('a', { onFailure })])
    const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
    bench.pool('a').sent[0]!.pending.onReply(failureReply(scope.correlationId, thrown))
    const { decision, error, bypassed } = await verdict
    assert.deepEqual(bench.pool('a').released, ['bad-reply'])
    if (onFailure === 'open') {
      assert.equal(decision.kind, 'allow')
      assert.deepEqual(bypassed, [{ agent: 'a', reason: 'error' }])
    } else {
      assert.equal(error?.code, 'INTERNAL')
      assert.match(error?.message ?? '', /rule set is broken/)
    }
  }
})

test('a header operation that cannot be carried out makes the whole answer unusable', async () => {
  for (const value of ['\u017dan', 'a\r\nb: c']) {
    const bench = new Bench()
    const scope = bench.open([bench.agent('a')])
    const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
    bench.pool('a').reply({ requestHeaders: [{ op: 'set', name: 'x-user', value }] })
    const { error, requestHeaders } = await verdict
    assert.equal(error?.code, 'PROTOCOL_ERROR', value)
    assert.deepEqual(requestHeaders, [])
  }
})

test("an agent's own fault never blames the client", async () => {
  for (const code of ['INVALID_ARGUMENT', 'TOO_LARGE', 'NOT_FOUND'] as const) {
    const bench = new Bench()
    const scope = bench.open([bench.agent('a')])
    const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
    const thrown = new WeirError(code, 'status 999 is no status')
    bench.pool('a').sent[0]!.pending.onReply(failureReply(scope.correlationId, thrown))
    const { decision } = await verdict
    assert.equal(decision.kind === 'block' && decision.status, 500, code)
  }
})

test('what may have been sent is never repeated', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').sent.shift()!.pending.onLost(new WeirError('CONNECTION_LOST', 'reset'))
  const { error } = await verdict
  assert.equal(error?.code, 'CONNECTION_LOST')
  assert.equal(bench.pool('a').sent.length, 0)
  assert.deepEqual(bench.pool('a').released, ['lost'])
})

test('one timeout does not leave an agent out for the rest of a request: its later frames go elsewhere', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open' }, [1, 2])])
  const late = bench.dispatcher.dispatch(eventOf('websocket-frame', scope), scope)
  bench.clock.advance(1010)
  assert.equal((await late).bypassed[0]?.reason, 'timeout')
  const next = bench.dispatcher.dispatch(eventOf('websocket-frame', scope), scope)
  assert.equal(bench.pool('a').sent[0]?.connectionId, 2)
  bench.pool('a').reply()
  assert.deepEqual((await next).bypassed, [])
  assert.equal(bench.pool('a').leases, 0)
})

test('a body chunk behind a late answer is not sent to a connection that has not seen the body', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open' }, [1, 2])])
  const late = bench.dispatcher.dispatch(chunkEvent(scope, 0), scope)
  bench.clock.advance(1010)
  await late
  const { bypassed } = await bench.dispatcher.dispatch(chunkEvent(scope, 1), scope)
  assert.deepEqual(bypassed, [{ agent: 'a', reason: 'timeout' }])
  assert.equal(bench.pool('a').sent.length, 0)
})

test('an event that our own drain cut off says nothing about the agent, the word of an agent does', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const cut = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').sent.shift()!.pending.onLost(new WeirError('DRAINING', 'drain ended before the reply came'))
  assert.equal((await cut).error?.code, 'DRAINING')
  for (const code of ['DRAINING', 'CANCELLED', 'CONNECTION_LOST'] as const) {
    const refused = bench.dispatcher.dispatch(headersEvent(scope), scope)
    const { pending } = bench.pool('a').sent.shift()!
    pending.onReply(failureReply(scope.correlationId, new WeirError(code, 'not now')))
    assert.equal((await refused).error?.code, code)
  }
  assert.deepEqual(bench.pool('a').released, ['cancelled', 'bad-reply', 'bad-reply', 'bad-reply'])
})

test('failing over is bounded', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2, 3, 4, 5])])
  for (const id of [1, 2, 3, 4, 5]) bench.pool('a').brokenBeforeSending.add(id)
  const { error } = await bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(error?.code, 'CONNECTION_LOST')
  assert.equal(bench.pool('a').released.length, 3)
  assert.equal(bench.pool('a').leases, 0)
})

const REFUSALS: readonly (readonly [
  'unavailable' | 'paused' | 'draining' | 'breaker-open',
  string,
  BypassReason,
])[] = [
  ['unavailable', 'UNAVAILABLE', 'unavailable'],
  ['paused', 'PAUSED', 'paused'],
  ['draining', 'DRAINING', 'unavailable'],
  ['breaker-open', 'UNAVAILABLE', 'breaker-open'],
]
for (const [refusal, code, reason] of REFUSALS) {
  test(`a pool that refuses with ${refusal} gives ${code} at once, or a counted bypass when open`, async () => {
    const seen: string[] = []
    const bench = new Bench({
      probe: { bypass: (agent, phase, why) => seen.push(`${agent} ${phase} ${why}`) },
    })
    const closed = bench.open([bench.agent('a')])
    bench.pool('a').refusal = refusal
    const denied = await bench.dispatcher.dispatch(headersEvent(closed), closed)
    assert.equal(denied.error?.code, code)
    assert.equal(denied.error?.sent, false)
    const open = bench.open([bench.agent('b', { onFailure: 'open' })])
    bench.pool('b').refusal = refusal
    const skipped = await bench.dispatcher.dispatch(headersEvent(open), open)
    assert.equal(skipped.decision.kind, 'allow')
    assert.deepEqual(skipped.bypassed, [{ agent: 'b', reason }])
    assert.deepEqual(seen, [`b request-headers ${reason}`])
  })
}

test('onPause open skips a paused agent even when its failures deny', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'closed', onPause: 'open' })])
  bench.pool('a').refusal = 'paused'
  const { decision, bypassed } = await bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(decision.kind, 'allow')
  assert.deepEqual(bypassed, [{ agent: 'a', reason: 'paused' }])
})

test('onPause wait is woken by the resume itself', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onPause: 'wait' })])
  const pool = bench.pool('a')
  pool.refusal = 'paused'
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(pool.waiters.length, 1)
  bench.clock.advance(40)
  pool.wake()
  pool.reply()
  assert.equal((await verdict).decision.kind, 'allow')
  bench.clock.advance(500)
  assert.equal(pool.leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('onPause wait ends with PAUSED after flowWaitMs, long before the timeout', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onPause: 'wait', flowWaitMs: 100, timeoutMs: 5000 })])
  bench.pool('a').refusal = 'paused'
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(110)
  const { error } = await verdict
  assert.equal(error?.code, 'PAUSED')
  assert.match(error.message, /agent a: .* did not resume within 100 ms \(agents\.a\.flowWaitMs\)/)
  assert.equal(bench.pool('a').waiters.length, 0)
})

test('a full pool queues until the deadline, which is counted from the dispatch', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 300 })])
  bench.pool('a').refusal = 'full'
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(310)
  const { error } = await verdict
  assert.equal(error?.code, 'TIMEOUT')
  assert.equal(error?.sent, false)
  assert.equal(bench.pool('a').waiters.length, 0)
})

test('a full queue refuses with OVERLOADED at once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  bench.pool('a').refusal = 'full'
  bench.pool('a').maxWaiters = 0
  assert.equal((await bench.dispatcher.dispatch(headersEvent(scope), scope)).error?.code, 'OVERLOADED')
})

test('a limited agent denies or is skipped as onLimit says, whatever its failure mode', async () => {
  const limits = {
    refund: () => assert.fail('nothing was taken'),
    check: () => ({
      allowed: false as const,
      code: 'RATE_LIMITED' as const,
      retryAfterMs: 250,
      rule: 'default',
      limit: 1,
      ratePerSecond: 4,
      remaining: 0,
      resetMs: 250,
      shadow: false,
    }),
  }
  const bench = new Bench({ limits })
  const deny = bench.open([bench.agent('a', { onFailure: 'open', onLimit: 'deny' })])
  const denied = await bench.dispatcher.dispatch(headersEvent(deny), deny)
  assert.equal(denied.error?.code, 'RATE_LIMITED')
  assert.equal(denied.error?.retryAfterMs, 250)
  const skip = bench.open([bench.agent('b', { onFailure: 'closed', onLimit: 'skip' })])
  const skipped = await bench.dispatcher.dispatch(headersEvent(skip), skip)
  assert.deepEqual(skipped.bypassed, [{ agent: 'b', reason: 'rate-limited' }])
  assert.equal(bench.pool('b').sent.length, 0)
})

test('a limit that nobody can check is no client over its limit: STORAGE, by onLimit, without a quota', async () => {
  const limits = {
    refund: () => assert.fail('nothing was taken'),
    check: () => ({
      allowed: false as const,
      code: 'RATE_LIMITED' as const,
      retryAfterMs: 1000,
      rule: 'default',
      limit: 1,
      ratePerSecond: 4,
      remaining: 0,
      resetMs: 250,
      shadow: false,
      isUnknown: true,
    }),
  }
  const bench = new Bench({ limits })
  const deny = bench.open([bench.agent('a', { onFailure: 'open', onLimit: 'deny' })])
  const { error } = await bench.dispatcher.dispatch(headersEvent(deny), deny)
  assert.deepEqual([error?.code, error?.retryAfterMs, error?.limit], ['STORAGE', 1000, undefined])
  const skip = bench.open([bench.agent('b', { onFailure: 'closed', onLimit: 'skip' })])
  const skipped = await bench.dispatcher.dispatch(headersEvent(skip), skip)
  assert.deepEqual(skipped.bypassed, [{ agent: 'b', reason: 'error' }])
})

test('an agent that says that its own store failed is treated by its failure mode, not by onLimit', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'closed', onLimit: 'skip' })])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply({ audit: failureAudit('STORAGE', 'disk full') })
  assert.equal((await verdict).error?.code, 'STORAGE')
})

test('a body chunk whose connection is gone fails with AFFINITY_LOST and is never sent elsewhere', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const head = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await head
  bench.pool('a').live = [2]
  const { error } = await bench.dispatcher.dispatch(chunkEvent(scope), scope)
  assert.equal(error?.code, 'AFFINITY_LOST')
  assert.equal(bench.pool('a').sent.length, 0)
})

test('all events of a request go to the connection that has its first one', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', {}, [1, 2])])
  const head = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await head
  bench.pool('a').live = [2, 1]
  void bench.dispatcher.dispatch(chunkEvent(scope), scope)
  assert.equal(bench.pool('a').sent[0]!.connectionId, 1)
})

test('a body chunk after five idle minutes fails with AFFINITY_LOST', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const head = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  await head
  bench.clock.advance(300_001)
  assert.equal((await bench.dispatcher.dispatch(chunkEvent(scope), scope)).error?.code, 'AFFINITY_LOST')
})

test('the use of one pin of a request does not keep those of its other agents', async () => {
  const bench = new Bench()
  const own = (kind: EventKind) => ({ events: new Set<EventKind>(['request-headers', kind]) })
  const scope = bench.open([
    bench.agent('a', own('request-body-chunk')),
    bench.agent('b', own('response-body-chunk')),
  ])
  const head = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  bench.pool('b').reply()
  await head
  bench.clock.advance(200_000)
  const chunk = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.pool('a').reply()
  assert.equal((await chunk).decision.kind, 'allow')
  bench.clock.advance(200_000)
  const late = bench.dispatcher.dispatch(eventOf('response-body-chunk', scope), scope)
  assert.equal((await late).error?.code, 'AFFINITY_LOST')
})

test('an event that one agent judges too late is too late for the next agent as well', async () => {
  const bench = new Bench()
  const open = { onFailure: 'open' } as const
  const scope = bench.open([bench.agent('a', open), bench.agent('b', open)])
  const head = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  bench.pool('b').reply()
  await head
  bench.clock.advance(300_001)
  assert.deepEqual(
    (await bench.dispatcher.dispatch(chunkEvent(scope), scope)).bypassed.map(({ agent }) => agent),
    ['a', 'b'],
  )
})

test('each bypass is counted once at the agent that was passed over, with its reason', async () => {
  const bench = new Bench()
  const agents = [
    bench.agent('a', { onFailure: 'open' }),
    bench.agent('b', { onPause: 'open' }),
    bench.agent('c'),
  ]
  const scope = bench.open(agents)
  bench.pool('a').refusal = 'breaker-open'
  bench.pool('b').refusal = 'paused'
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('c').reply()
  assert.equal((await verdict).bypassed.length, 2)
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => bench.pool(name).bypasses),
    [['breaker-open'], ['paused'], []],
  )
  assert.deepEqual(scope.chain.passUnseen('request-body-chunk'), ['a', 'b', 'c'])
  assert.deepEqual(bench.pool('c').bypasses, ['too-large'])
})

test('the end of a request that an agent cannot be told is no bypass, whatever its failure mode', async () => {
  const bypassed: string[] = []
  const bench = new Bench({ probe: { bypass: (agent, phase) => bypassed.push(`${agent} ${phase}`) } })
  const events = new Set(['request-headers', 'request-complete'] as const)
  const agents = [
    bench.agent('a', { events, onFailure: 'open' }),
    bench.agent('b', { events, onFailure: 'closed' }),
  ]
  const scope = bench.open(agents)
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply()
  bench.pool('b').reply()
  await verdict
  for (const name of ['a', 'b']) bench.pool(name).refusal = 'unavailable'
  bench.dispatcher.close(scope, eventOf('request-complete', scope) as RequestCompleteEvent)
  assert.deepEqual([bench.pool('a').bypasses, bench.pool('b').bypasses, bypassed], [[], [], []])
  assert.equal(bench.wheel.size, 0)
})
