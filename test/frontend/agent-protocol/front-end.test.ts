import assert from 'node:assert/strict'
import { test } from 'node:test'
import { failureCodeOf } from '../../../src/core/agent-failure.ts'
import { WeirError } from '../../../src/core/errors.ts'
import type { AgentEvent, RequestHeadersEvent } from '../../../src/core/event.ts'
import type { Probe, RequestFacts } from '../../../src/core/probe.ts'
import type { ChainSource } from '../../../src/frontend/agent-protocol/chain-choice.ts'
import { AgentProtocolFrontEnd } from '../../../src/frontend/agent-protocol/front-end.ts'
import { BYPASS_TAG } from '../../../src/frontend/agent-protocol/verdict-reply.ts'
import type { AgentPolicy } from '../../../src/proxy/agent-policy.ts'
import { AgentChain, type Chain } from '../../../src/proxy/chain.ts'
import { Bench } from '../../proxy/harness.ts'
import { RecordingLink } from '../../support/recording-link.ts'
import {
  bodyChunk,
  requestComplete,
  requestHeaders,
  responseHeaders,
  SAMPLE_METADATA,
} from '../../support/sample-events.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function chainSource(
  chains: readonly Chain[],
  parts: { fallback?: Chain; hosts?: Record<string, Chain> } = {},
) {
  const source: ChainSource = {
    all: chains,
    named: (name) => chains.find((chain) => chain.name === name),
    forRequest: (host) => parts.hosts?.[host],
    fallback: parts.fallback,
  }
  return source
}

interface SetUp {
  readonly policy?: Partial<AgentPolicy>
  readonly maxOpenRequests?: number
  readonly idleTtlMs?: number
  readonly probe?: Probe
}

/** A front end over the real dispatcher and one scripted agent `waf` on the route `api`. */
function setUp(parts: SetUp = {}) {
  const { maxOpenRequests } = parts
  const bench = new Bench(maxOpenRequests === undefined ? {} : { maxOpenRequests })
  const chain = new AgentChain('api', [bench.agent('waf', parts.policy)])
  const frontEnd = new AgentProtocolFrontEnd({
    dispatcher: bench.dispatcher,
    chains: chainSource([chain]),
    clock: bench.clock,
    probe: parts.probe ?? {},
    version: '1.2.3',
    idleTtlMs: parts.idleTtlMs,
  })
  const { handler } = frontEnd.agentEnd
  const link = new RecordingLink(handler)
  const send = async (...events: AgentEvent[]): Promise<void> => {
    for (const event of events) handler.onEvent(event, link)
    await turn()
  }
  return { bench, frontEnd, handler, link, send, pool: bench.pool('waf'), dispatcher: bench.dispatcher }
}

test('the agent sees our own correlation id, the proxy its own', async () => {
  const { link, send, pool } = setUp()
  await send(requestHeaders('client-chosen'))
  assert.notEqual(pool.sent[0]!.event.correlationId, 'client-chosen')
  pool.reply({ decision: { kind: 'block', status: 418, body: 'no' } })
  await turn()
  const reply = link.replyTo('client-chosen')
  assert.deepEqual(reply.decision, { kind: 'block', status: 418, body: 'no' })
  assert.equal(Object.values(reply.audit.custom)[0], 'waf')
})

test('equal ids of two links are two requests', async () => {
  const { handler, link, send, pool, dispatcher } = setUp()
  const other = new RecordingLink(handler)
  await send(requestHeaders('a'))
  handler.onEvent(requestHeaders('a'), other)
  assert.equal(dispatcher.openRequests, 2)
  assert.notEqual(pool.sent[0]!.event.correlationId, pool.sent[1]!.event.correlationId)
  pool.reply({ decision: { kind: 'block', status: 401 } })
  pool.reply()
  await turn()
  assert.equal(link.replyTo('a').decision.kind, 'block')
  assert.equal(other.replyTo('a').decision.kind, 'allow')
})

test('all events of a request reach the agent under one id, and its completion frees it', async () => {
  const { frontEnd, link, send, pool, dispatcher } = setUp()
  pool.answer = (event) => ({
    ...blank,
    correlationId: event.correlationId,
    requestHeaders: [{ op: 'set', name: 'x-kind', value: event.kind }],
  })
  const seen: string[] = []
  const answer = pool.answer
  pool.answer = (event) => {
    seen.push(event.correlationId)
    return answer(event)
  }
  await send(requestHeaders('a'), bodyChunk('a', 'body'), responseHeaders('a'))
  await turn()
  assert.equal(new Set(seen).size, 1)
  assert.deepEqual(
    link.replies.map(({ requestHeaders: [op] }) => op?.op === 'set' && op.value),
    ['request-headers', 'request-body-chunk', 'response-headers'],
  )
  assert.equal(dispatcher.openRequests, 1)
  await send(requestComplete('a'))
  assert.equal(dispatcher.openRequests, 0)
  assert.equal(frontEnd.requests, 0)
  assert.equal(link.replies.at(-1)!.decision.kind, 'allow')
})

test('a later event of an unknown request is refused, never allowed', async () => {
  const { link, send, dispatcher } = setUp()
  await send(bodyChunk('ghost', 'x'))
  await send(responseHeaders('ghost2'))
  for (const id of ['ghost', 'ghost2']) assert.equal(failureCodeOf(link.replyTo(id)), 'AFFINITY_LOST')
  await send(requestComplete('ghost3'))
  assert.equal(link.replyTo('ghost3').decision.kind, 'allow')
  assert.equal(dispatcher.openRequests, 0)
})

test('an idle request is over after its TTL, and what comes then is refused', async () => {
  const { bench, link, send, pool, dispatcher } = setUp({ idleTtlMs: 1000 })
  await send(requestHeaders('a'))
  pool.reply()
  await turn()
  bench.clock.advance(1000)
  assert.equal(dispatcher.openRequests, 0)
  await send(responseHeaders('a'))
  assert.equal(failureCodeOf(link.replies.at(-1)!), 'AFFINITY_LOST')
})

test('a lost link ends its requests and tells the agents that work on them', async () => {
  const { link, send, pool, dispatcher } = setUp()
  await send(requestHeaders('a'))
  link.end(new WeirError('CONNECTION_LOST', 'gone'))
  assert.equal(dispatcher.openRequests, 0)
  assert.equal(pool.cancelled.length, 1)
  assert.equal(pool.leases, 0)
})

test('a cancel reaches the agent with its reason, and no reply leaves', async () => {
  const { handler, link, send, pool, dispatcher } = setUp()
  await send(requestHeaders('a'))
  handler.onCancel('a', 'client-disconnect', link)
  await turn()
  assert.deepEqual(
    pool.cancelled.map((cancel) => cancel.reason),
    ['client-disconnect'],
  )
  assert.equal(link.replies.length, 0)
  assert.equal(dispatcher.openRequests, 0)
})

test('an agent that fails blocks with the status and code of its failure', async () => {
  const { link, send, pool } = setUp()
  pool.refusal = 'unavailable'
  await send(requestHeaders('a'))
  const reply = link.replyTo('a')
  assert.equal(reply.decision.kind === 'block' && reply.decision.status, 503)
  assert.equal(failureCodeOf(reply), 'UNAVAILABLE')
})

test('an agent that was skipped shows in the audit', async () => {
  const { link, send, pool } = setUp({ policy: { onFailure: 'open' } })
  pool.refusal = 'unavailable'
  await send(requestHeaders('a'))
  const { decision, audit } = link.replyTo('a')
  assert.equal(decision.kind, 'allow')
  assert.ok(audit.tags.includes(BYPASS_TAG))
  assert.ok(Object.values(audit.custom).includes('waf:unavailable'))
})

test('after an allowed chunk an agent with failure mode open no longer fails open', async () => {
  const { link, send, pool } = setUp({ policy: { onFailure: 'open' } })
  await send(requestHeaders('a'))
  pool.reply()
  await send(bodyChunk('a', 'one', { isLast: false }))
  pool.reply()
  await turn()
  pool.refusal = 'unavailable'
  await send(bodyChunk('a', 'two', { chunkIndex: 1 }))
  assert.equal(link.replies.at(-1)!.decision.kind, 'block')
})

test('a body over the limit of its route is refused, or let through with a note', async () => {
  for (const onTooLarge of ['reject', 'skip'] as const) {
    const { link, send, pool } = setUp({ policy: { body: { mode: 'stream', maxBytes: 4, onTooLarge } } })
    await send(requestHeaders('a'))
    pool.reply()
    await send(bodyChunk('a', 'five5'))
    assert.equal(pool.sent.length, 0)
    const { decision, audit } = link.replies.at(-1)!
    assert.deepEqual(audit.reasonCodes, ['TOO_LARGE'])
    if (onTooLarge === 'reject') assert.equal(decision.kind === 'block' && decision.status, 413)
    else assert.ok(decision.kind === 'allow' && audit.tags.includes(BYPASS_TAG))
  }
})

test('a body over the limit is a bypass of the agents that look at bodies, and of no other', async () => {
  const bench = new Bench()
  const bypassed: string[] = []
  const looks = { body: { mode: 'stream', maxBytes: 4, onTooLarge: 'skip' } } as const
  const chain = new AgentChain('api', [
    bench.agent('auth', { events: new Set(['request-headers']) }),
    bench.agent('waf', { ...looks, events: new Set(['request-body-chunk']) }),
  ])
  const { agentEnd } = new AgentProtocolFrontEnd({
    dispatcher: bench.dispatcher,
    chains: chainSource([chain]),
    clock: bench.clock,
    probe: { bypass: (agent, phase, reason) => bypassed.push(`${agent} ${phase} ${reason}`) },
    version: '1.2.3',
  })
  const link = new RecordingLink(agentEnd.handler)
  agentEnd.handler.onEvent(requestHeaders('a'), link)
  await turn()
  bench.pool('auth').reply()
  await turn()
  agentEnd.handler.onEvent(bodyChunk('a', 'five5'), link)
  await turn()
  assert.deepEqual(bypassed, ['waf request-body-chunk too-large'])
})

test('headers that come again under an id in use are inspected as a request of their own', async () => {
  const { link, send, pool, dispatcher } = setUp()
  await send(requestHeaders('trace-1'))
  const first = pool.sent[0]!.event.correlationId
  pool.reply()
  await turn()
  await send(requestHeaders('trace-1', { uri: '/evil' }))
  assert.notEqual(pool.sent[0]!.event.correlationId, first)
  pool.reply({ decision: { kind: 'block', status: 403 } })
  await turn()
  assert.deepEqual(
    link.replies.map((reply) => reply.decision.kind),
    ['allow', 'block'],
  )
  assert.equal(dispatcher.openRequests, 1)
})

test('when too many requests are open, the longest idle one gives way', async () => {
  const { link, send, pool, dispatcher } = setUp({ maxOpenRequests: 2 })
  for (const id of ['a', 'b', 'c']) {
    await send(requestHeaders(id))
    pool.reply()
    await turn()
  }
  assert.equal(dispatcher.openRequests, 2)
  await send(responseHeaders('a'))
  assert.equal(failureCodeOf(link.replies.at(-1)!), 'AFFINITY_LOST')
  await send(requestHeaders('d'), requestHeaders('e'), requestHeaders('f'))
  assert.equal(failureCodeOf(link.replyTo('f')), 'OVERLOADED')
})

test('a request whose chain wants no more than its headers is not kept open, and its later events pass', async () => {
  const { link, send, pool, dispatcher } = setUp({ policy: { events: new Set(['request-headers']) } })
  await send(requestHeaders('a'))
  assert.equal(dispatcher.openRequests, 1)
  pool.reply()
  await turn()
  assert.equal(dispatcher.openRequests, 0)
  await send(bodyChunk('a', 'x'), responseHeaders('a'), requestComplete('a'))
  assert.deepEqual(
    link.replies.map((reply) => reply.decision.kind),
    ['allow', 'allow', 'allow', 'allow'],
  )
  assert.equal(pool.sent.length, 0)
})

test('a draining process refuses new requests with 503', async () => {
  const { link, send, dispatcher } = setUp()
  const drained = dispatcher.drain(1000)
  await send(requestHeaders('a'))
  assert.equal(failureCodeOf(link.replyTo('a')), 'DRAINING')
  await drained
})

test('a drain reports draining, waits for what is being asked and closes the links', async () => {
  const { bench, frontEnd, link, send, pool, dispatcher } = setUp()
  await send(requestHeaders('a'))
  const drained = frontEnd.drain(10_000)
  assert.match(JSON.stringify(link.sent), /"draining"/)
  assert.equal(link.isClosed, false)
  pool.reply()
  await turn()
  bench.clock.advance(250)
  await drained
  assert.equal(link.replyTo('a').decision.kind, 'allow')
  assert.equal(link.isClosed, true)
  assert.equal(dispatcher.openRequests, 0)
})

test('a frame that an agent blocks closes its WebSocket connection', async () => {
  const { link, send, pool } = setUp()
  await send({
    kind: 'websocket-frame',
    correlationId: 'a',
    opcode: 'text',
    data: Buffer.from('hi'),
    clientToServer: true,
    frameIndex: 0,
    fin: true,
    clientIp: '203.0.113.7:1234',
  })
  pool.reply({ decision: { kind: 'block', status: 403 } })
  await turn()
  assert.equal(link.replyTo('a').websocketDecision?.kind, 'close')
})

test('a configuration of the proxy is accepted and noted, unless there is nothing in it', async () => {
  const notes: string[] = []
  const { handler, link } = setUp({ probe: { notice: (_level, message) => void notes.push(message) } })
  for (const config of [undefined, null, {}]) await handler.onConfigure(config, undefined, true, link)
  assert.equal(notes.length, 0)
  await handler.onConfigure({ paranoia: 2 }, undefined, true, link)
  assert.equal(notes.length, 1)
})

test('the probe hears of each request once, with its path but not its query', async () => {
  const done: RequestFacts[] = []
  const { send, pool } = setUp({ probe: { requestDone: (facts) => void done.push(facts) } })
  await send(requestHeaders('a', { uri: '/orders?token=secret' }))
  pool.reply()
  await turn()
  await send(responseHeaders('a'))
  pool.reply()
  await turn()
  assert.equal(done.length, 1)
  assert.equal(done[0]!.path, '/orders')
  assert.equal(done[0]!.route, 'api')
})

test('the address of the client loses its port on the way to agents and limits', async () => {
  const cases = {
    '203.0.113.7:8080': '203.0.113.7',
    '[2001:db8::1]:443': '2001:db8::1',
    '2001:db8::1': '2001:db8::1',
  }
  for (const [given, expected] of Object.entries(cases)) {
    const { send, pool } = setUp()
    await send(requestHeaders('a', { metadata: { ...SAMPLE_METADATA, clientIp: given } }))
    assert.equal((pool.sent[0]!.event as RequestHeadersEvent).metadata.clientIp, expected)
  }
})

test('Weir announces what its chains want, the headers that place a request and the end that frees it', () => {
  const { frontEnd } = setUp({ policy: { events: new Set(['response-headers']) } })
  const { supportedEvents, version } = frontEnd.agentEnd.capabilities()
  assert.deepEqual(supportedEvents, ['request-headers', 'response-headers', 'request-complete'])
  assert.equal(version, '1.2.3')
})

const blank = {
  decision: { kind: 'allow' },
  requestHeaders: [],
  responseHeaders: [],
  routingMetadata: {},
  audit: { tags: [], ruleIds: [], reasonCodes: [], custom: {} },
  needsMore: false,
} as const
