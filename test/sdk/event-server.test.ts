import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAILURE_TAG, failureCodeOf } from '../../src/core/agent-failure.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { AgentEvent } from '../../src/core/event.ts'
import type { Agent, RequestContext } from '../../src/sdk/agent.ts'
import { AgentResponder } from '../../src/sdk/agent-responder.ts'
import { type Answer, allow, block, replaceBody } from '../../src/sdk/answer.ts'
import { EventServer, type EventServerOptions } from '../../src/sdk/event-server.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { RecordingLink } from '../support/recording-link.ts'
import { bodyChunk, requestComplete, requestHeaders, responseHeaders } from '../support/sample-events.ts'

const NOTE = 'note'

function serve(agent: Omit<Agent, 'name'>, options: Partial<EventServerOptions> = {}) {
  const clock = new FakeClock()
  const notices: string[] = []
  const probe = { notice: (_level: string, message: string) => void notices.push(message) }
  const responder = new AgentResponder<Record<string, unknown>>({ name: 'waf', ...agent }, probe, clock, {})
  const server = new EventServer(responder, { clock, ...options })
  responder.attach(server)
  const send = (link: RecordingLink, ...events: AgentEvent[]): void => {
    for (const event of events) server.onEvent(event, link)
  }
  return { clock, server, notices, send, link: new RecordingLink(server) }
}

/** A handler whose answers the test gives, in any order. */
function deferred() {
  const waiting: ((answer?: Answer) => void)[] = []
  const handler = (): Promise<Answer | undefined> => new Promise((resolve) => waiting.push(resolve))
  return { waiting, handler }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a kind of event without a handler is allowed', () => {
  const { send, link } = serve({})
  send(link, requestHeaders('a'), bodyChunk('a', 'x'), requestComplete('a'))
  assert.deepEqual(
    link.replies.map((reply) => reply.decision.kind),
    ['allow', 'allow', 'allow'],
  )
})

test('a handler that throws blocks with 500, is tagged as a failure and is reported', () => {
  const { send, link, notices } = serve({
    onRequestHeaders() {
      throw new Error('rules file is gone')
    },
  })
  send(link, requestHeaders('a'))
  const reply = link.replyTo('a')
  assert.equal(reply.decision.kind === 'block' && reply.decision.status, 500)
  assert.ok(reply.audit.tags.includes(FAILURE_TAG))
  assert.equal(failureCodeOf(reply), 'INTERNAL')
  assert.match(notices[0]!, /waf: onRequestHeaders failed: rules file is gone/)
  assert.equal(link.sent[0]?.[0], 'log')
})

test('what is not an answer blocks, from a handler of either kind', async () => {
  const { send, link } = serve({
    onRequestHeaders: (() => true) as unknown as Agent['onRequestHeaders'] & object,
    onResponseHeaders: (() => Promise.resolve('allow')) as unknown as Agent['onResponseHeaders'] & object,
  })
  send(link, requestHeaders('a'), responseHeaders('b'))
  await turn()
  for (const id of ['a', 'b']) assert.equal(failureCodeOf(link.replyTo(id)), 'INTERNAL')
})

test('a rejected promise blocks', async () => {
  const { send, link } = serve({ onRequestHeaders: () => Promise.reject(new Error('db down')) })
  send(link, requestHeaders('a'))
  await turn()
  assert.equal(failureCodeOf(link.replyTo('a')), 'INTERNAL')
})

test('events of one request are handled one after the other, of several at once', async () => {
  const { waiting, handler } = deferred()
  const { send, link } = serve({ onRequestHeaders: handler, onRequestBody: handler })
  send(link, requestHeaders('a'), bodyChunk('a', '1'), requestHeaders('b'))
  assert.equal(waiting.length, 2, 'the body of a waits for its headers, b does not')
  waiting[1]!(allow())
  await turn()
  assert.deepEqual(
    link.replies.map((reply) => reply.correlationId),
    ['b'],
  )
  waiting[0]!(allow().addTag('headers'))
  await turn()
  assert.equal(waiting.length, 3)
  waiting[2]!(allow().addTag('body'))
  await turn()
  assert.deepEqual(
    link.replies.map((reply) => reply.audit.tags[0]),
    [undefined, 'headers', 'body'],
  )
})

test('an undecodable event waits for its turn and is answered with a block', async () => {
  const { waiting, handler } = deferred()
  const { server, send, link } = serve({ onRequestHeaders: handler })
  send(link, requestHeaders('a'))
  server.onMalformedEvent('a', new WeirError('PROTOCOL_ERROR', 'no status'), link)
  assert.equal(link.replies.length, 0)
  waiting[0]!(allow())
  await turn()
  assert.deepEqual(
    link.replies.map((reply) => reply.decision.kind),
    ['allow', 'block'],
  )
  server.onMalformedEvent('', new WeirError('PROTOCOL_ERROR', 'no id'), link)
  assert.equal(link.replyTo('').decision.kind, 'block')
})

test('a cancelled request fires its signal and gets no reply, even for what had queued up', async () => {
  const { waiting, handler } = deferred()
  const cancelled: string[] = []
  let signal: AbortSignal | undefined
  const { server, send, link } = serve({
    onRequestHeaders(_event, context) {
      signal = context.signal
      return handler()
    },
    onCancel: (context, reason) => void cancelled.push(`${context.correlationId} ${reason}`),
  })
  send(link, requestHeaders('a'), bodyChunk('a', '1'))
  server.onCancel('a', 'client-disconnect', link)
  assert.equal(signal!.aborted, true)
  assert.deepEqual(cancelled, ['a client-disconnect'])
  waiting[0]!(block())
  await turn()
  assert.equal(link.replies.length, 0)
  assert.equal(server.requests, 0)
})

test('an id may be used again while its cancelled handler still runs', async () => {
  const { waiting, handler } = deferred()
  const { server, send, link } = serve({ onRequestHeaders: handler })
  send(link, requestHeaders('a'))
  server.onCancel('a', 'timeout', link)
  send(link, requestHeaders('a'))
  waiting[0]!(block())
  waiting[1]!(allow())
  await turn()
  assert.equal(link.replyTo('a').decision.kind, 'allow')
  assert.equal(server.requests, 0)
})

test('a lost link aborts the requests it carried and no others', () => {
  const { handler } = deferred()
  const signals = new Map<string, AbortSignal>()
  const { server, send, link } = serve({
    onRequestHeaders(_event, context) {
      signals.set(context.peer, context.signal)
      return handler()
    },
  })
  const other = new RecordingLink(server)
  send(link, requestHeaders('a'))
  send(other, requestHeaders('a'))
  link.end(new WeirError('CONNECTION_LOST', 'reset'))
  assert.equal(signals.get(link.peer)!.aborted, true)
  assert.equal(signals.get(other.peer)!.aborted, false)
  assert.equal(server.requests, 1)
})

test('a signal read after its request ended has fired already', async () => {
  const { waiting, handler } = deferred()
  let context: RequestContext | undefined
  const { server, send, link } = serve({
    onRequestHeaders(_event, its) {
      context = its
      return handler()
    },
  })
  send(link, requestHeaders('a'))
  server.onCancel('a', 'timeout', link)
  assert.equal(context!.signal.aborted, true)
  waiting[0]!()
  await turn()
})

test('state lives from the headers to the completion of a request, and is not shared', () => {
  const { server, send, link } = serve({
    onRequestHeaders(event, { state }) {
      state[NOTE] = event.uri
    },
    onResponseHeaders: (_event, { state }) => allow().addTag(String(state[NOTE])),
  })
  send(link, requestHeaders('a', { uri: '/a' }), requestHeaders('b', { uri: '/b' }))
  send(link, responseHeaders('a'), responseHeaders('b'))
  assert.deepEqual(
    link.replies.slice(2).map((reply) => reply.audit.tags),
    [['/a'], ['/b']],
  )
  assert.equal(server.requests, 2)
  send(link, requestComplete('a'), requestComplete('b'))
  assert.equal(server.requests, 0)
  send(link, responseHeaders('a'))
  assert.deepEqual(link.replies.at(-1)!.audit.tags, ['undefined'])
})

test('a request without state leaves nothing behind, whichever way it was answered', async () => {
  const { server, send, link } = serve({
    onRequestHeaders: () => undefined,
    onRequestBody: () => Promise.resolve(undefined),
  })
  send(link, requestHeaders('a'))
  assert.equal(server.requests, 0)
  send(link, bodyChunk('a', 'x'))
  assert.equal(server.requests, 1)
  await turn()
  assert.equal(server.requests, 0)
  assert.equal(link.replies.length, 2)
})

test('state is let go after the idle TTL, counted from the last event', () => {
  const { clock, server, send, link } = serve(
    { onRequestHeaders: (_event, { state }) => void Object.assign(state, { seen: true }) },
    { idleTtlMs: 1000 },
  )
  send(link, requestHeaders('a'), requestHeaders('b'))
  clock.advance(600)
  send(link, responseHeaders('a'))
  clock.advance(600)
  assert.equal(server.find(link, 'b'), undefined)
  assert.notEqual(server.find(link, 'a'), undefined)
  clock.advance(1000)
  assert.equal(server.requests, 0)
  assert.equal(clock.timers, 0)
})

test('at the bound the longest idle request gives way, never a busy one', async () => {
  const { waiting, handler } = deferred()
  const { server, send, link } = serve(
    {
      onRequestHeaders: (event, context) => {
        context.state[NOTE] = true
        return event.uri === '/slow' ? handler() : undefined
      },
    },
    { maxRequests: 2 },
  )
  send(link, requestHeaders('slow', { uri: '/slow' }), requestHeaders('a'), requestHeaders('b'))
  assert.equal(server.requests, 2)
  assert.equal(server.find(link, 'a'), undefined)
  send(link, requestHeaders('slow2', { uri: '/slow' }), requestHeaders('c'))
  assert.equal(failureCodeOf(link.replyTo('c')), 'OVERLOADED')
  for (const answer of waiting) answer()
  await turn()
  assert.equal(link.replies.length, 5)
})

test('a proxy that floods a busy request is cut off', () => {
  const { handler } = deferred()
  const { server, send, link } = serve({ onRequestHeaders: handler })
  send(link, requestHeaders('a'))
  for (let n = 0; n <= 16_384; n++) send(link, bodyChunk('a', 'x'))
  assert.equal(link.closedWith?.code, 'OVERLOADED')
  assert.equal(server.waiting, 0)
  assert.equal(server.requests, 0)
})

test('an answer that cannot be encoded becomes a block', async () => {
  const { send, link } = serve({
    onRequestHeaders: () => allow(),
    onResponseHeaders: () => Promise.resolve(allow()),
  })
  for (const event of [requestHeaders('a'), responseHeaders('b')]) {
    link.unencodable = event.correlationId
    send(link, event)
    await turn()
    assert.equal(failureCodeOf(link.replyTo(event.correlationId)), 'TOO_LARGE')
  }
})

test('draining refuses new links, answers the open ones and waits for running handlers', async () => {
  const { waiting, handler } = deferred()
  const { server, send, link } = serve({ onRequestHeaders: handler })
  send(link, requestHeaders('a'))
  let isDrained = false
  const drained = server.drain(60_000).then(() => {
    isDrained = true
  })
  const late = new RecordingLink(server)
  assert.equal(late.closedWith?.code, 'DRAINING')
  send(link, requestHeaders('b'))
  waiting[0]!()
  await turn()
  assert.equal(isDrained, false)
  waiting[1]!()
  await drained
  assert.equal(link.replies.length, 2)
})

test('a drain lingers while events still come, and ends when they no longer do', async () => {
  const { clock, server, send, link } = serve({})
  let isDrained = false
  const drained = server.drain(10_000, 250).then(() => {
    isDrained = true
  })
  for (let n = 0; n < 5; n++) {
    clock.advance(200)
    send(link, requestHeaders(`late-${n}`))
    await turn()
  }
  assert.equal(link.replies.length, 5)
  assert.equal(isDrained, false)
  clock.advance(50)
  await turn()
  clock.advance(200)
  await drained
})

test('a drain ends as soon as every proxy has left', async () => {
  const { server, link } = serve({})
  const drained = server.drain(10_000, 250)
  link.end()
  await drained
})

test('a drain ends at its timeout although a handler hangs', async () => {
  const { handler } = deferred()
  const { clock, server, send, link } = serve({ onRequestHeaders: handler })
  send(link, requestHeaders('a'))
  const drained = server.drain(500)
  clock.advance(500)
  await drained
})

test('a replaced body over gRPC is a block, over other transports a mutation', () => {
  const { server, send, link } = serve({ onRequestBody: () => replaceBody('masked') })
  const grpc = new RecordingLink(server, { transport: 'grpc' })
  send(link, bodyChunk('a', 'secret', { chunkIndex: 3 }))
  send(grpc, bodyChunk('a', 'secret'))
  assert.deepEqual(link.replyTo('a').requestBodyMutation, { data: Buffer.from('masked'), chunkIndex: 3 })
  assert.equal(failureCodeOf(grpc.replyTo('a')), 'INTERNAL')
})

test('events behind a completion are answered as a new request', async () => {
  const { waiting, handler } = deferred()
  const { server, send, link } = serve({ onRequestComplete: handler })
  send(link, requestComplete('a'), responseHeaders('a'))
  waiting[0]!()
  await turn()
  assert.equal(link.replies.length, 2)
  assert.equal(server.waiting, 0)
  assert.equal(server.requests, 0)
})
