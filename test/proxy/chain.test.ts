import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import { ALLOW, type HeaderOp, NO_AUDIT } from '../../src/core/reply.ts'
import { Bench, chunkEvent, headersEvent } from './harness.ts'

const block = { kind: 'block', status: 403, body: 'no' } as const
const set = (name: string): HeaderOp => ({ op: 'set', name, value: '1' })

test('agents of a chain are asked one after the other, and their header operations keep that order', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  assert.equal(bench.pool('b').sent.length, 0)
  bench.pool('a').reply({ requestHeaders: [set('from-a')] })
  bench.pool('b').reply({ requestHeaders: [set('from-b')], responseHeaders: [set('back')] })
  const { decision, requestHeaders, responseHeaders } = await verdict
  assert.equal(decision.kind, 'allow')
  assert.deepEqual(
    requestHeaders.map((op) => op.name),
    ['from-a', 'from-b'],
  )
  assert.deepEqual(
    responseHeaders.map((op) => op.name),
    ['back'],
  )
})

test('the first refusal ends a serial chain and stands alone', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b'), bench.agent('c')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply({ requestHeaders: [set('from-a')] })
  bench.pool('b').reply({ decision: block, responseHeaders: [set('why')] })
  const result = await verdict
  assert.deepEqual(result.decision, block)
  assert.equal(result.decidedBy, 'b')
  assert.equal(result.error, undefined)
  assert.deepEqual(result.requestHeaders, [])
  assert.deepEqual(
    result.responseHeaders.map((op) => op.name),
    ['why'],
  )
  assert.equal(bench.pool('c').sent.length, 0)
})

test('in a parallel chain the first refusal in chain order wins, whoever answers first', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b'), bench.agent('c')], true)
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('c').reply({ decision: { ...block, status: 499 } })
  bench.pool('b').reply({ decision: { ...block, status: 451 } })
  assert.equal(bench.pool('a').sent.length, 1, 'the earlier agent may still refuse and must be heard')
  bench.pool('a').reply()
  const result = await verdict
  assert.equal(result.decidedBy, 'b')
  assert.deepEqual(result.decision, { ...block, status: 451 })
})

test('a parallel chain cancels agents whose answer no longer matters', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')], true)
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.pool('a').reply({ decision: block })
  assert.equal((await verdict).decidedBy, 'a')
  assert.deepEqual(
    bench.pool('b').cancelled.map((cancel) => cancel.reason),
    ['blocked-by-agent'],
  )
  assert.deepEqual(bench.pool('b').released, ['cancelled'])
  assert.equal(bench.pool('b').leases, 0)
})

test('in a parallel chain a refusal beats a fail-closed failure of an earlier agent', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a', { timeoutMs: 50 }), bench.agent('b')], true)
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench.clock.advance(60)
  bench.pool('b').reply({ decision: { kind: 'redirect', url: '/login', status: 302 } })
  const result = await verdict
  assert.equal(result.decidedBy, 'b')
  assert.equal(result.error, undefined)
})

test('a refusal of a body chunk that needs more is provisional, and final on the last chunk', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const first = bench.dispatcher.dispatch(chunkEvent(scope, 0), scope)
  bench.pool('a').reply({ decision: block, needsMore: true })
  const provisional = await first
  assert.equal(provisional.decision.kind, 'allow')
  assert.equal(provisional.needsMore, true)
  const last = bench.dispatcher.dispatch(chunkEvent(scope, 1, true), scope)
  bench.pool('a').reply({ decision: block, needsMore: true })
  assert.equal((await last).decision.kind, 'block')
})

test("one agent's needs-more never cancels another agent's block", async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.pool('a').reply({ needsMore: true })
  bench.pool('b').reply({ decision: block })
  const result = await verdict
  assert.equal(result.decision.kind, 'block')
  assert.equal(result.needsMore, false)
})

test('a later agent sees the chunk as the earlier one left it', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.pool('a').reply({ requestBodyMutation: { data: Buffer.from('masked'), chunkIndex: 0 } })
  const seen = bench.pool('b').sent[0]!.event as BodyChunkEvent
  assert.equal(Buffer.from(seen.data).toString(), 'masked')
  bench.pool('b').reply()
  assert.equal(Buffer.from((await verdict).bodyMutation!.data!).toString(), 'masked')
})

test('an agent that leaves a chunk does not undo what an earlier one made of it', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.pool('a').reply({ requestBodyMutation: { data: Buffer.from('masked'), chunkIndex: 0 } })
  bench.pool('b').reply({ requestBodyMutation: { data: undefined, chunkIndex: 0 } })
  assert.equal(Buffer.from((await verdict).bodyMutation!.data!).toString(), 'masked')
})

test('agents of a parallel chain edit a chunk one after the other, so that no edit is lost', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')], true)
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  assert.equal(bench.pool('b').sent.length, 0)
  bench.pool('a').reply({ requestBodyMutation: { data: Buffer.from('masked'), chunkIndex: 0 } })
  const seen = bench.pool('b').sent[0]!.event as BodyChunkEvent
  assert.equal(Buffer.from(seen.data).toString(), 'masked')
  bench.pool('b').reply()
  assert.equal(Buffer.from((await verdict).bodyMutation!.data!).toString(), 'masked')
})

test('an edit of the response is not applied to the request', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope), scope)
  bench.pool('a').reply({ responseBodyMutation: { data: Buffer.from('x'), chunkIndex: 0 } })
  const result = await verdict
  assert.equal(result.error?.code, 'PROTOCOL_ERROR')
  assert.equal(result.bodyMutation, undefined)
})

test('a mutation of another chunk than the one asked about is a failure, not an edit', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a')])
  const verdict = bench.dispatcher.dispatch(chunkEvent(scope, 3), scope)
  bench.pool('a').reply({ requestBodyMutation: { data: Buffer.from('x'), chunkIndex: 2 } })
  const result = await verdict
  assert.equal(result.error?.code, 'PROTOCOL_ERROR')
  assert.equal(result.bodyMutation, undefined)
  assert.deepEqual(bench.pool('a').released, ['bad-reply'])
})

test('audits of agents that allow are united, and the later word on routing wins', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const verdict = bench.dispatcher.dispatch(headersEvent(scope), scope)
  bench
    .pool('a')
    .reply({ audit: { ...NO_AUDIT, tags: ['x', 'y'] }, routingMetadata: { pool: 'one', keep: '1' } })
  bench
    .pool('b')
    .reply({ audit: { ...NO_AUDIT, tags: ['y', 'z'], ruleIds: ['r1'] }, routingMetadata: { pool: 'two' } })
  const { audit, routingMetadata } = await verdict
  assert.deepEqual(audit.tags, ['x', 'y', 'z'])
  assert.deepEqual(audit.ruleIds, ['r1'])
  assert.deepEqual(routingMetadata, { pool: 'two', keep: '1' })
})

test('a dropped websocket frame ends the chain even though the decision is an allow', async () => {
  const bench = new Bench()
  const scope = bench.open([bench.agent('a'), bench.agent('b')])
  const frame = {
    kind: 'websocket-frame',
    correlationId: scope.correlationId,
    opcode: 'text',
    data: Buffer.from('hi'),
    clientToServer: true,
    frameIndex: 0,
    fin: true,
    clientIp: '203.0.113.7',
  } as const
  const verdict = bench.dispatcher.dispatch(frame, scope)
  bench.pool('a').reply({ decision: ALLOW, websocketDecision: { kind: 'drop' } })
  assert.deepEqual((await verdict).websocketDecision, { kind: 'drop' })
  assert.equal(bench.pool('b').sent.length, 0)
})

test('a chain shows its agents no more of a body than each of them takes at the time', () => {
  const bench = new Bench()
  const events = new Set(['request-body-chunk'] as const)
  const chain = bench.open([
    bench.agent('a', { events }),
    bench.agent('b', { events }),
    bench.agent('c', { events: new Set(['request-headers']) }),
  ]).chain
  const configured = chain.requestBody
  assert.ok(configured.maxBytes > 700)
  bench.pool('b').maxBodyBytes = 700
  bench.pool('c').maxBodyBytes = 5
  assert.deepEqual(chain.requestBody, { ...configured, maxBytes: 700 })
  assert.equal(chain.requestBody, chain.requestBody, 'one plan for all requests')
  assert.equal(chain.responseBody.mode, 'none')
  bench.pool('a').maxBodyBytes = 600
  assert.equal(chain.requestBody.maxBytes, 600)
  for (const name of ['a', 'b']) bench.pool(name).maxBodyBytes = Number.POSITIVE_INFINITY
  assert.deepEqual(chain.requestBody, configured)
})
