import assert from 'node:assert/strict'
import { test } from 'node:test'
import { v1Dialer } from '../../src/transport/v1/v1-dialer.ts'
import { eventually } from '../support/eventually.ts'
import { ask, failureOf, Observed, soon } from './support/observed.ts'
import { ASKED_KINDS, eventOf, requestHeaders } from './support/sample-events.ts'
import { HANDSHAKE, never } from './support/transports.ts'
import { send, V1Agent } from './support/v1-agent.ts'

const dial = (agent: V1Agent, config?: unknown, configTimeoutMs = 5000) =>
  v1Dialer(agent.path, { ...HANDSHAKE, config, configTimeoutMs }, { agentId: 'old' }).dial(never())

test('an agent of the legacy framing answers every kind of event', async (t) => {
  const agent = await new V1Agent().listen(t)
  const connection = await dial(agent)
  assert.equal(connection.isExclusive, true)
  assert.equal(connection.transport, 'v1')
  for (const kind of ASKED_KINDS) {
    const answer = await soon(kind, ask(connection, eventOf(kind, `c-${kind}`)).outcome)
    assert.equal(answer.correlationId, `c-${kind}`)
    assert.equal(answer.decision.kind, 'allow')
    if (kind === 'guardrail-inspect')
      assert.equal(
        (JSON.parse(answer.routingMetadata['guardrail_response']!) as { detected: boolean }).detected,
        false,
      )
  }
  assert.deepEqual(
    agent.messages.map(({ event_type }) => event_type),
    [
      'request_headers',
      'request_body_chunk',
      'response_headers',
      'response_body_chunk',
      'request_complete',
      'websocket_frame',
      'guardrail_inspect',
    ],
  )
  const payloadOf = (index: number) => agent.messages[index]!.payload
  assert.equal(agent.messages[0]!.version, 2)
  assert.equal(payloadOf(3)['bytes_received'], 105)
  assert.equal(payloadOf(4)['request_size'], 5)
  assert.equal(payloadOf(4)['response_size'], 6)
  assert.equal(payloadOf(5)['opcode'], 1)
  assert.equal(payloadOf(5)['direction'], 'client_to_server')
  await connection.close()
})

test('a second event before the reply is refused unsent', async (t) => {
  const agent = await new V1Agent().listen(t)
  const connection = await dial(agent)
  const first = ask(connection, requestHeaders('c-1'))
  const error = await failureOf(() => ask(connection, requestHeaders('c-2')))
  assert.equal(error.code, 'CONFLICT')
  assert.equal(error.sent, false)
  await soon('the first reply', first.outcome)
  await soon('the next one', ask(connection, requestHeaders('c-2')).outcome)
  await connection.close()
})

test('abandoning an event ends the connection, because its reply could not be told from the next', async (t) => {
  const agent = await new V1Agent().listen(t)
  agent.answer = () => {}
  const connection = await dial(agent)
  const observed = new Observed()
  connection.observe(observed)
  const asked = ask(connection, requestHeaders('c-1'))
  assert.equal(connection.abandon(asked), true)
  assert.equal(connection.isClosed, true)
  assert.equal(observed.closed.length, 1)
  assert.equal(asked.settled, 0)
  await soon('the end', connection.close())
})

test('a reply that nothing was asked for ends the connection', async (t) => {
  const agent = await new V1Agent().listen(t)
  agent.answer = (_message, socket) => {
    send(socket, { version: 2, decision: 'allow' })
    send(socket, { version: 2, decision: 'allow' })
  }
  const connection = await dial(agent)
  await soon('the reply', ask(connection, requestHeaders('c-1')).outcome)
  await eventually('the connection is closed', () => connection.isClosed)
})

test('a configuration is delivered before the first event, and a refusal is quoted', async (t) => {
  const agent = await new V1Agent().listen(t)
  const connection = await dial(agent, { level: 1 })
  assert.equal(agent.messages[0]!.event_type, 'configure')
  assert.deepEqual(agent.messages[0]!.payload['config'], { level: 1 })
  assert.equal(agent.messages[0]!.payload['agent_id'], 'old')
  agent.answer = (_message, socket) => send(socket, { success: false, error: 'no such level' })
  const error = await failureOf(() => connection.configure({ level: 9 }, undefined, 5000))
  assert.equal(error.code, 'PERMISSION_DENIED')
  assert.match(error.message, /no such level/)
  const refused = await failureOf(() => dial(agent, { level: 9 }))
  assert.equal(refused.code, 'PERMISSION_DENIED')
  agent.answer = () => {}
  assert.equal((await failureOf(() => dial(agent, {}, 50))).code, 'TIMEOUT')
  await connection.close()
})

test('the death of the agent fails what waits, and dialing nobody is unavailable', async (t) => {
  const agent = await new V1Agent().listen(t)
  agent.answer = (_message, socket) => socket.destroy()
  const connection = await dial(agent)
  const error = await failureOf(() => soon('the loss', ask(connection, requestHeaders('c-1')).outcome))
  assert.equal(error.code, 'CONNECTION_LOST')
  assert.equal(error.sent, true)
  agent.path = '/nonexistent/v1.sock'
  assert.equal((await failureOf(() => dial(agent))).code, 'UNAVAILABLE')
})

test('an event beyond ten megabytes is refused unsent, and the connection stays usable', async (t) => {
  const agent = await new V1Agent().listen(t)
  const connection = await dial(agent)
  const huge = { ...eventOf('request-body-chunk', 'c-1'), data: Buffer.alloc(9 * 1024 * 1024) }
  const error = await failureOf(() => ask(connection, huge as ReturnType<typeof eventOf>))
  assert.equal(error.code, 'TOO_LARGE')
  assert.equal(error.sent, false)
  await soon('a reply', ask(connection, requestHeaders('c-2')).outcome)
  await connection.close()
})

test('pings and cancels, which this wire lacks, do no harm', async (t) => {
  const connection = await dial(await new V1Agent().listen(t))
  assert.equal(await connection.ping(1000), 0)
  connection.cancel('c-1', 'timeout')
  await soon('a reply', ask(connection, requestHeaders('c-1')).outcome)
  await connection.close()
})
