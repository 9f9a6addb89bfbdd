import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import { ALLOW, type Decision, reply } from '../../src/core/reply.ts'
import { TimerWheel } from '../../src/core/timer-wheel.ts'
import { AgentDispatcher } from '../../src/proxy/agent-dispatcher.ts'
import { AgentChain } from '../../src/proxy/chain.ts'
import type { RequestScope } from '../../src/proxy/request-scope.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'
import { startedPool } from '../support/pool-fixture.ts'
import { Bench, chunkEvent, headersEvent, policy } from './harness.ts'

const BLOCK: Decision = { kind: 'block', status: 403 }
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Dispatches pieces 0 to `count - 1` at once and notes the verdicts in the order in which they are given. */
function ask(bench: Bench, scope: RequestScope, count: number): { index: number; verdict: Verdict }[] {
  const given: { index: number; verdict: Verdict }[] = []
  for (let index = 0; index < count; index++)
    void bench.dispatcher
      .dispatch(chunkEvent(scope, index, index === count - 1), scope)
      .then((verdict) => given.push({ index, verdict }))
  return given
}

function sentTo(bench: Bench, agent: string): number[] {
  return bench.pool(agent).sent.map(({ event }) => (event as BodyChunkEvent).chunkIndex)
}

const kinds = (given: readonly { verdict: Verdict }[]): string[] =>
  given.map(({ verdict }) => verdict.error?.code ?? verdict.decision.kind)

test('pieces go to the agent before the first verdict, in order, and verdicts come in order', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const given = ask(bench, scope, 3)
  assert.deepEqual(sentTo(bench, 'a'), [0, 1, 2])
  bench.pool('a').reply()
  await turn()
  assert.deepEqual(
    given.map(({ index }) => index),
    [0],
  )
  bench.pool('a').reply()
  bench.pool('a').reply()
  await turn()
  assert.deepEqual(
    given.map(({ index }) => index),
    [0, 1, 2],
  )
  bench.dispatcher.close(scope, undefined)
  assert.equal(bench.pool('a').leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('an agent without room gets the next piece only after it has answered the one before', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  bench.pool('a').takesAhead = false
  ask(bench, scope, 3)
  assert.deepEqual(sentTo(bench, 'a'), [0])
  bench.pool('a').reply()
  assert.deepEqual(sentTo(bench, 'a'), [1])
})

test('a piece that waits for a connection is not overtaken by the piece behind it', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const pool = bench.pool('a')
  pool.refusal = 'full'
  ask(bench, scope, 2)
  pool.refusal = undefined
  assert.deepEqual(sentTo(bench, 'a'), [])
  pool.wake()
  pool.reply()
  assert.deepEqual(sentTo(bench, 'a'), [1])
})

test('a piece is at the second agent while the next one is at the first, each as the first left it', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const given = ask(bench, scope, 3)
  const masked = { requestBodyMutation: { data: Buffer.from('****'), chunkIndex: 0 } }
  bench.pool('a').reply(masked)
  assert.deepEqual([sentTo(bench, 'a'), sentTo(bench, 'b')], [[1, 2], [0]])
  assert.equal(Buffer.from((bench.pool('b').sent[0]!.event as BodyChunkEvent).data).toString(), '****')
  bench.pool('a').reply()
  bench.pool('a').reply()
  assert.deepEqual(sentTo(bench, 'b'), [0, 1, 2])
  for (let n = 0; n < 3; n++) bench.pool('b').reply()
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'allow', 'allow'])
  assert.equal(Buffer.from(given[0]!.verdict.bodyMutation!.data!).toString(), '****')
})

test('the second agent never gets a piece before the one before it, though the first has let it pass', () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  bench.pool('b').takesAhead = false
  ask(bench, scope, 2)
  bench.pool('a').reply()
  bench.pool('a').reply()
  assert.deepEqual(sentTo(bench, 'b'), [0])
  bench.pool('b').reply()
  assert.deepEqual(sentTo(bench, 'b'), [1])
})

test('a refused piece ends all behind it: none is allowed, none goes further, and the agent is told nothing', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const given = ask(bench, scope, 4)
  bench.pool('a').reply()
  bench.pool('a').reply({ decision: BLOCK })
  assert.deepEqual(sentTo(bench, 'a'), [2, 3])
  assert.deepEqual(sentTo(bench, 'b'), [0])
  await turn()
  assert.deepEqual(given, [], 'the piece before the refused one has no verdict yet')
  bench.pool('b').reply()
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'block', 'CANCELLED', 'CANCELLED'])
  assert.equal(scope.calls, null, 'nothing of the request is awaited any more')
  bench.pool('a').reply()
  bench.pool('a').reply()
  assert.deepEqual(sentTo(bench, 'b'), [], 'a late allow leads nowhere')
  assert.equal(bench.pool('a').leases, 0)
  assert.deepEqual(bench.pool('a').cancelled, [])
})

test('the end of a refused request still reaches the agent that has not answered all its pieces', () => {
  const bench = new Bench()
  const events = new Set(['request-body-chunk', 'request-complete'] as const)
  const scope = bench.open([bench.agent('a', { events })])
  ask(bench, scope, 3)
  bench.pool('a').reply({ decision: BLOCK })
  bench.dispatcher.close(scope, {
    kind: 'request-complete',
    correlationId: scope.correlationId,
    status: 403,
    durationMs: 1,
    requestBodySize: 4,
    responseBodySize: 0,
    upstreamAttempts: 0,
  })
  const last = bench.pool('a').sent.at(-1)!
  assert.equal(last.event.kind, 'request-complete')
  assert.equal(last.connectionId, 1)
})

test('a provisional refusal holds nothing up: the next piece is judged', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const given = ask(bench, scope, 2)
  bench.pool('a').reply({ decision: BLOCK, needsMore: true })
  bench.pool('a').reply()
  await turn()
  assert.equal(given[0]!.verdict.needsMore, true)
  assert.equal(given[1]!.verdict.decision.kind, 'allow')
})

test('an abort settles every piece and tells each agent once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const given = ask(bench, scope, 4)
  bench.pool('a').reply()
  bench.dispatcher.abort(scope, 'client-disconnect')
  await turn()
  assert.equal(given.length, 4)
  assert.ok(given.every(({ verdict }) => verdict.error?.code === 'CANCELLED'))
  assert.equal(bench.pool('a').cancelled.length, 1)
  assert.equal(bench.pool('b').cancelled.length, 1)
  assert.equal(bench.pool('a').leases + bench.pool('b').leases, 0)
  assert.equal(bench.wheel.size, 0)
})

test('the time of a piece that was sent ahead begins when the piece before it is answered', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 })])
  const given = ask(bench, scope, 2)
  bench.clock.advance(80)
  bench.pool('a').reply()
  bench.clock.advance(80)
  await turn()
  assert.deepEqual(kinds(given), ['allow'])
  bench.clock.advance(40)
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'TIMEOUT'])
})

test('a piece that times out takes the ones behind it along, and the agent is told once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 })])
  const given = ask(bench, scope, 3)
  bench.clock.advance(120)
  await turn()
  assert.deepEqual(kinds(given), ['TIMEOUT', 'CANCELLED', 'CANCELLED'])
  assert.equal(bench.pool('a').cancelled.length, 1)
  assert.equal(bench.pool('a').leases, 0)
  assert.deepEqual(
    bench.pool('a').released.filter((outcome) => outcome === 'timeout'),
    ['timeout'],
    'one slow answer counts once',
  )
})

const lost = new WeirError('CONNECTION_LOST', 'gone', { sent: true })

test('with onFailure open a connection lost after a piece was judged lets nothing behind it pass', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open' })])
  const given = ask(bench, scope, 4)
  const { sent } = bench.pool('a')
  bench.pool('a').reply()
  for (const { pending } of sent.splice(0)) pending.onLost(lost)
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'CONNECTION_LOST', 'CANCELLED', 'CANCELLED'])
  assert.deepEqual(bench.pool('a').bypasses, [])
})

test('with onFailure open a connection lost before any piece was judged lets the whole body pass unseen', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open' })])
  const given = ask(bench, scope, 3)
  for (const { pending } of bench.pool('a').sent.splice(0)) pending.onLost(lost)
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'allow', 'allow'])
  assert.ok(given.every(({ verdict }) => verdict.bypassed[0]?.reason === 'unavailable'))
})

test('with onFailure open a first piece that times out takes those behind it along, unseen, and counts once', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open', timeoutMs: 100 }), bench.agent('b')])
  const pool = bench.pool('a')
  const given = ask(bench, scope, 3)
  bench.clock.advance(120)
  assert.deepEqual([...pool.released].sort(), ['cancelled', 'cancelled', 'timeout'])
  assert.equal(pool.cancelled.length, 1)
  assert.deepEqual(pool.bypasses, ['timeout', 'timeout', 'timeout'])
  assert.deepEqual(sentTo(bench, 'b'), [0, 1, 2])
  for (let n = 0; n < 3; n++) bench.pool('b').reply()
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'allow', 'allow'])
  assert.equal(bench.wheel.size, 0)
})

test('a body of which an agent missed the first piece goes on without it to its end, each piece counted', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'closed', onPause: 'open' }), bench.agent('b')])
  const pool = bench.pool('a')
  pool.refusal = 'paused'
  const verdicts: Verdict[] = []
  for (let index = 0; index < 3; index++) {
    const verdict = bench.dispatcher.dispatch(chunkEvent(scope, index, index === 2), scope)
    bench.pool('b').reply()
    verdicts.push(await verdict)
    scope.requestBodyCommitted = true
    if (index === 1) pool.refusal = undefined
  }
  assert.deepEqual(
    verdicts.map(({ decision, bypassed }) => [decision.kind, ...bypassed.map(({ reason }) => reason)]),
    [
      ['allow', 'paused'],
      ['allow', 'paused'],
      ['allow', 'paused'],
    ],
  )
  assert.deepEqual(pool.sent, [], 'the rest of a body that it did not see from its beginning')
  assert.deepEqual(pool.bypasses, ['paused', 'paused', 'paused'])
  const other = { ...(chunkEvent(scope) as BodyChunkEvent), kind: 'response-body-chunk' as const }
  void bench.dispatcher.dispatch(other, scope)
  assert.equal(pool.sent.length, 1, 'the other body is judged')
})

test('an abort is no bypass, though the agent missed the first piece', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { onFailure: 'open' }), bench.agent('b')])
  const given = ask(bench, scope, 2)
  bench.pool('a').sent.shift()!.pending.onLost(lost)
  bench.dispatcher.abort(scope, 'client-disconnect')
  await turn()
  assert.deepEqual(kinds(given), ['CANCELLED', 'CANCELLED'])
  assert.deepEqual(bench.pool('a').bypasses, ['unavailable'])
  assert.equal(bench.pool('a').leases + bench.pool('b').leases, 0)
})

test('pieces of the two bodies of a request do not wait for each other', () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  bench.pool('a').takesAhead = false
  void bench.dispatcher.dispatch(chunkEvent(scope), scope)
  void bench.dispatcher.dispatch(
    { ...(chunkEvent(scope) as BodyChunkEvent), kind: 'response-body-chunk' },
    scope,
  )
  assert.equal(bench.pool('a').sent.length, 2)
  void bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(bench.pool('a').sent.length, 3)
})

test('a piece that comes after the end of its request is refused, not asked about', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const given = ask(bench, scope, 1)
  bench.dispatcher.close(scope, undefined)
  bench.pool('a').reply()
  await turn()
  assert.deepEqual(sentTo(bench, 'b'), [])
  assert.deepEqual(kinds(given), ['CANCELLED'])
})

test('an agent that works through the pieces behind a refused one is neither late nor told to stop', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 })])
  const pool = bench.pool('a')
  ask(bench, scope, 5)
  for (let n = 0; n < 5; n++) {
    bench.clock.advance(60)
    pool.reply(n === 1 ? { decision: BLOCK } : {})
  }
  await turn()
  assert.deepEqual(pool.released, ['replied', 'replied', 'replied', 'replied', 'replied'])
  assert.deepEqual(pool.cancelled, [])
  assert.equal(bench.wheel.size, 0)
})

test('pieces behind a refused one that are never answered end together, and none counts against the agent', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 })])
  const pool = bench.pool('a')
  ask(bench, scope, 4)
  bench.clock.advance(60)
  pool.reply({ decision: BLOCK })
  bench.dispatcher.abort(scope, 'client-disconnect')
  bench.clock.advance(60)
  assert.equal(pool.leases, 3, 'the agent may still answer')
  bench.clock.advance(60)
  assert.deepEqual(pool.released, ['replied', 'cancelled', 'cancelled', 'cancelled'])
  assert.deepEqual(
    pool.cancelled.map(({ reason }) => reason),
    ['client-disconnect'],
  )
  assert.equal(bench.wheel.size, 0)
})

test('pieces behind a refused one may be answered in any order, before and after its verdict is given', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 100 }), bench.agent('b', { timeoutMs: 1000 })])
  const pool = bench.pool('a')
  const given = ask(bench, scope, 6)
  pool.reply()
  pool.reply({ decision: BLOCK })
  bench.clock.advance(60)
  pool.sent.splice(1, 1)[0]!.pending.onReply(reply(scope.correlationId, ALLOW, {}))
  bench.clock.advance(30)
  assert.deepEqual(given, [])
  bench.pool('b').reply()
  await turn()
  assert.deepEqual(kinds(given), ['allow', 'block', 'CANCELLED', 'CANCELLED', 'CANCELLED', 'CANCELLED'])
  assert.deepEqual(sentTo(bench, 'a'), [2, 4, 5])
  while (pool.sent.length > 0) {
    pool.reply()
    bench.clock.advance(60)
  }
  assert.deepEqual(
    pool.released.filter((outcome) => outcome !== 'replied'),
    [],
  )
  assert.deepEqual([pool.leases, bench.wheel.size], [0, 0])
})

test('the answer to a piece that was sent before the breaker opened tells nothing of the agent since then', async () => {
  const { pool, clock, dialer, lease } = await startedPool({
    connections: 1,
    breaker: { openMs: 1000, leastOpenMs: 1000 },
    health: { consecutiveFailures: 1e9, ejectBelow: -1, degradeBelow: -1 },
  })
  const dispatcher = new AgentDispatcher({
    clock,
    wheel: new TimerWheel(clock),
    probe: {},
    limits: undefined,
  })
  const chain = new AgentChain('route', [{ policy: policy('waf', { timeoutMs: 5000 }), pool }])
  const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
  for (let n = 0; n < 9; n++) void dispatcher.dispatch(chunkEvent(scope, n, n === 8), scope)
  const [agent] = dialer.alive
  assert.equal(agent!.sent.length, 9)
  clock.advance(5)
  for (let n = 0; n < 5; n++) lease().release('timeout', 0)
  clock.advance(1001)
  assert.equal(pool.snapshot().breaker, 'half-open')
  while (agent!.pendingCount > 0) {
    agent!.reply()
    clock.advance(10)
  }
  assert.equal(pool.snapshot().breaker, 'half-open')
})

test('the latency of a piece that was sent ahead is the time of its turn', async () => {
  const { pool, clock, dialer } = await startedPool({ connections: 1 })
  const dispatcher = new AgentDispatcher({
    clock,
    wheel: new TimerWheel(clock),
    probe: {},
    limits: undefined,
  })
  const chain = new AgentChain('route', [{ policy: policy('waf'), pool }])
  const scope = dispatcher.open(chain, { clientIp: '203.0.113.7' })
  for (let n = 0; n < 3; n++) void dispatcher.dispatch(chunkEvent(scope, n, n === 2), scope)
  const [agent] = dialer.alive
  const connection = pool.find(agent!.id)!
  for (const tookMs of [50, 30, 20]) {
    clock.advance(tookMs)
    agent!.reply()
    assert.equal(connection.lastReplyMs, tookMs)
  }
})
