import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { listenUds, type UdsListenerOptions } from '../../src/transport/uds/uds-listener.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { frame, RawClient } from './support/raw-peer.ts'

function hello(parts: Record<string, unknown> = {}): Buffer {
  return frame(0x01, {
    supported_versions: [2],
    proxy_id: 'zentinel-proxy',
    proxy_version: '0.6.20',
    config: null,
    supported_encodings: ['json'],
    ...parts,
  })
}

const PING = frame(0x41, { sequence: 41, timestamp_ms: 1 })

function headersEvent(correlationId: string): Buffer {
  return frame(0x10, {
    correlation_id: correlationId,
    metadata: {
      correlation_id: correlationId,
      request_id: 'r',
      client_ip: '192.0.2.1:55',
      client_port: 0,
      protocol: 'HTTP/1.1',
      timestamp: '2026-01-01T00:00:00Z',
    },
    method: 'GET',
    uri: '/',
    headers: {},
  })
}

async function served(t: TestContext, agent: ScriptedAgent, options?: UdsListenerOptions) {
  const path = join(await temporaryFolder(t), 'a.sock')
  const listener = await listenUds(path, agent.options, options)
  t.after(() => listener.close())
  return (): RawClient => new RawClient(t, path)
}

test('the handshake answer names every capability, and json when nothing else was offered', async (t) => {
  const connect = await served(t, new ScriptedAgent())
  const client = connect()
  client.socket.write(hello({ supported_encodings: undefined }))
  await eventually('the answer', () => client.frames.length === 1)
  const answer = client.json(0)
  assert.equal(client.frames[0]!.type, 0x02)
  assert.equal(answer['success'], true)
  assert.equal(answer['protocol_version'], 2)
  const capabilities = answer['capabilities'] as Record<string, unknown>
  assert.deepEqual(Object.keys(capabilities['features'] as object).sort(), [
    'cancellation',
    'concurrent_requests',
    'config_push',
    'flow_control',
    'guardrails',
    'health_reporting',
    'metrics_export',
    'streaming_body',
    'websocket',
  ])
  assert.ok((capabilities['supported_events'] as number[]).includes(8))
})

for (const [offer, version, id, expected] of [
  [['msgpack', 'json'], '0.6.20', 'zentinel-proxy', 'json'],
  [['msgpack', 'json'], '0.6.45', 'zentinel-proxy', 'msgpack'],
  [['msgpack', 'json'], '0.7.0', 'zentinel-proxy', 'msgpack'],
  [['msgpack', 'json'], '0.1.0', 'weir', 'msgpack'],
  [['json', 'msgpack'], '0.6.54', 'zentinel-proxy', 'json'],
  [['json'], '0.6.54', 'weir', 'json'],
  [['cbor', 'msgpack'], '0.6.54', 'weir', 'msgpack'],
  [['msgpack'], 'unknown', 'someone', 'json'],
] as const) {
  test(`offered ${offer.join(' and ')} by ${id} ${version}, an agent chooses ${expected}`, async (t) => {
    const connect = await served(t, new ScriptedAgent())
    const client = connect()
    client.socket.write(hello({ supported_encodings: offer, proxy_version: version, proxy_id: id }))
    await eventually('the answer', () => client.frames.length === 1)
    assert.equal(client.json(0)['encoding'], expected)
  })
}

test('an agent told to speak json alone does so', async (t) => {
  const connect = await served(t, new ScriptedAgent(), { encodings: ['json'] })
  const client = connect()
  client.socket.write(hello({ supported_encodings: ['msgpack'], proxy_id: 'weir' }))
  await eventually('the answer', () => client.frames.length === 1)
  assert.equal(client.json(0)['encoding'], 'json')
})

test('a proxy without a common version gets a failure with full capabilities, then the end', async (t) => {
  const agent = new ScriptedAgent()
  const connect = await served(t, agent)
  const client = connect()
  client.socket.write(hello({ supported_versions: [1, 3] }))
  await eventually('the end', () => client.isEnded)
  const answer = client.json(0)
  assert.equal(answer['success'], false)
  assert.match(String(answer['error']), /1, 3/)
  assert.equal((answer['capabilities'] as Record<string, unknown>)['agent_id'], 'waf')
  assert.equal(agent.links.length, 0)
})

test('a proxy that says nothing is hung up on', async (t) => {
  const agent = new ScriptedAgent()
  const path = join(await temporaryFolder(t), 'a.sock')
  const listener = await listenUds(path, { ...agent.options, handshakeTimeoutMs: 100 })
  t.after(() => listener.close())
  const client = new RawClient(t, path)
  await eventually('the end', () => client.isClosed)
  assert.equal(client.received.length, 0)
})

for (const [title, bytes] of [
  ['an event before the handshake', headersEvent('c-1')],
  ['a handshake that is not JSON', frame(0x01, Buffer.from('nope'))],
  ['a handshake of more than a megabyte', Buffer.from([0, 0x20, 0, 0, 1])],
  ['a frame of length 0', Buffer.alloc(4)],
] as const) {
  test(`${title} ends the link without an answer, and others live on`, async (t) => {
    const agent = new ScriptedAgent()
    const connect = await served(t, agent)
    const [good, bad] = [connect(), connect()]
    good.socket.write(hello())
    bad.socket.write(bytes)
    await eventually('the bad link is closed', () => bad.isClosed)
    assert.equal(bad.received.length, 0)
    assert.equal(agent.events.length, 0)
    good.socket.write(PING)
    await eventually('the good link answers', () => good.frames.length === 2)
  })
}

test('garbage ends only the link it came on', async (t) => {
  const agent = new ScriptedAgent()
  const connect = await served(t, agent)
  const [good, bad] = [connect(), connect()]
  good.socket.write(hello())
  bad.socket.write(Buffer.concat([hello(), Buffer.alloc(4)]))
  await eventually('the bad link is closed', () => bad.isClosed)
  assert.equal(agent.closed.length, 1)
  good.socket.write(headersEvent('c-1'))
  await eventually('the good link answers', () => good.frames.length === 2)
})

test('a pong is a byte copy of its ping', async (t) => {
  const connect = await served(t, new ScriptedAgent())
  const client = connect()
  const payload = Buffer.from('{ "timestamp_ms":1,\n "sequence" : 41, "more": [1] }')
  client.socket.write(Buffer.concat([hello(), frame(0x41, payload)]))
  await eventually('the pong', () => client.frames.length === 2)
  assert.equal(client.frames[1]!.type, 0x42)
  assert.deepEqual(client.frames[1]!.payload, payload)
})

test('an event that does not decode is answered as a failure with its own id', async (t) => {
  const agent = new ScriptedAgent()
  const connect = await served(t, agent)
  const client = connect()
  client.socket.write(Buffer.concat([hello(), frame(0x12, { correlation_id: 'c-7', status: 'high' })]))
  await eventually('the answer', () => client.frames.length === 2)
  assert.deepEqual(agent.malformed, ['c-7'])
  assert.ok('block' in (client.json(1)['decision'] as object))
})

test('a configuration is answered with its id: allow when applied, block when refused', async (t) => {
  const agent = new ScriptedAgent()
  agent.applyConfiguration = async (config) => {
    if (config === null || config === undefined) throw new Error('nothing to apply')
  }
  const connect = await served(t, agent)
  const client = connect()
  const configure = (id: string, config: unknown): Buffer =>
    frame(0x17, { config, config_version: null, correlation_id: id })
  client.socket.write(Buffer.concat([hello(), configure('k-0', { a: 1 }), configure('k-1', null)]))
  await eventually('both answers', () => client.frames.length === 3)
  const idOf = (index: number): unknown =>
    ((client.json(index)['audit'] as Record<string, unknown>)['custom'] as Record<string, unknown>)[
      'correlation_id'
    ]
  assert.equal(client.json(1)['decision'], 'allow')
  assert.equal(idOf(1), 'k-0')
  assert.match(JSON.stringify(client.json(2)['decision']), /block.*500.*nothing to apply/)
  assert.equal(idOf(2), 'k-1')
})

test('messages behind a configuration keep their order, pings and cancels too', async (t) => {
  const agent = new ScriptedAgent()
  let apply: () => void = () => {}
  agent.applyConfiguration = () => new Promise((resolve) => (apply = resolve))
  const connect = await served(t, agent)
  const client = connect()
  const configure = frame(0x17, { config: {}, correlation_id: 'k-0' })
  const cancel = frame(0x40, { correlation_id: 'c-1', reason: 0, timestamp_ms: 1 })
  client.socket.write(Buffer.concat([hello(), configure, headersEvent('c-1'), cancel, PING]))
  await eventually('the configuration arrives', () => agent.configurations.length === 1)
  assert.equal(client.frames.length, 1)
  assert.equal(agent.events.length, 0)
  assert.equal(agent.cancels.length, 0)
  apply()
  await eventually('everything is answered', () => client.frames.length === 4)
  assert.deepEqual(
    client.frames.map(({ type }) => type),
    [0x02, 0x20, 0x20, 0x42],
  )
  assert.deepEqual(agent.cancels, ['c-1 client-disconnect'])
})

test('a proxy that leaves while a configuration is applied is noticed', async (t) => {
  const agent = new ScriptedAgent()
  agent.applyConfiguration = () => new Promise(() => {})
  const connect = await served(t, agent)
  const client = connect()
  client.socket.end(Buffer.concat([hello(), frame(0x17, { config: {}, correlation_id: 'k-0' })]))
  await eventually('the link is closed', () => agent.closed.length === 1)
})

test('an agent stops reading while its proxy does not take the replies', async (t) => {
  const agent = new ScriptedAgent()
  const text = 'x'.repeat(100_000)
  agent.answer = (event, link) =>
    link.reply(reply(event.correlationId, { kind: 'block', status: 403, body: text }))
  const connect = await served(t, agent)
  const client = connect()
  client.socket.write(hello())
  await eventually('the handshake', () => client.frames.length === 1)
  client.socket.pause()
  const total = 400
  for (let index = 0; index < total; index++) client.socket.write(headersEvent(`c-${index}`))
  await eventually('the link is full', () => agent.links[0]!.isWritable === false)
  /* The rest of what was read at once may still be answered; what follows is not read. */
  const seen = agent.events.length
  for (let index = 0; index < 20_000; index++) client.socket.write(headersEvent(`d-${index}`))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(agent.events.length < seen + 2000, `${agent.events.length} events were read`)
  agent.answer = (event, link) => link.reply(plainAllow(event.correlationId))
  client.received = Buffer.alloc(0)
  client.socket.removeAllListeners('data')
  client.socket.on('data', () => {})
  client.socket.resume()
  await eventually('everything is read in the end', () => agent.events.length === total + 20_000, 10_000)
})

test('a proxy that ends gets what is still to be said, then the end', async (t) => {
  const agent = new ScriptedAgent()
  const connect = await served(t, agent)
  const client = connect()
  client.socket.end(Buffer.concat([hello(), headersEvent('c-1')]))
  await eventually('the link is closed', () => client.isClosed)
  assert.deepEqual(
    client.frames.map(({ type }) => type),
    [0x02, 0x20],
  )
  assert.equal(agent.closed.length, 1)
})
