import assert from 'node:assert/strict'
import {
  type ClientHttp2Session,
  type ClientSessionOptions,
  connect,
  type IncomingHttpHeaders,
} from 'node:http2'
import { connect as connectSocket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import type { GrpcListenerOptions } from '../../src/transport/grpc/grpc-options.ts'
import { endWithMessage } from '../../src/transport/grpc/respond.ts'
import type { ServerCall } from '../../src/transport/grpc/server-call.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { AgentControl } from '../../src/wire/grpc/service.ts'
import { eventOf, requestHeaders } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'

const SERVICE = '/zentinel.agent.v2.AgentServiceV2'
const codec = grpcProxyCodec()

function bytesOf(...writes: ((codec: ProxyCodec, out: ByteWriter) => void)[]): Buffer {
  const out = new ByteWriter()
  for (const write of writes) write(codec, out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

const handshake = (of: ProxyCodec, out: ByteWriter): void =>
  of.writeHandshake(
    {
      supportedVersions: [2, 1],
      proxyId: 'raw',
      proxyVersion: '1',
      config: undefined,
      supportedEncodings: [],
    },
    out,
  )
const ping = (of: ProxyCodec, out: ByteWriter): void => of.writePing(7, 1, out)

async function served(
  t: TestContext,
  agent = new ScriptedAgent(),
  options: GrpcListenerOptions = {},
  client: ClientSessionOptions = {},
): Promise<ClientHttp2Session> {
  const listener = await listenGrpc('127.0.0.1:0', agent.options, options)
  const session = connect(`http://127.0.0.1:${listener.port}`, client)
  session.on('error', () => {})
  t.after(async () => {
    session.destroy()
    await listener.close()
  })
  return session
}

/** One call with everything it was answered. */
class Call {
  headers: IncomingHttpHeaders | undefined
  trailers: IncomingHttpHeaders | undefined
  received = Buffer.alloc(0)
  isClosed = false
  readonly stream: ReturnType<ClientHttp2Session['request']>

  constructor(session: ClientHttp2Session, path: string, headers: Record<string, string> = {}) {
    this.stream = session.request(
      { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers },
      { endStream: false },
    )
    this.stream.once('response', (received) => (this.headers = received))
    this.stream.once('trailers', (received) => (this.trailers = received))
    this.stream.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    this.stream.on('error', () => {})
    this.stream.once('close', () => (this.isClosed = true))
  }

  get status(): string | undefined {
    return (this.trailers?.['grpc-status'] ?? this.headers?.['grpc-status']) as string | undefined
  }
}

test('response headers leave before anything was received', async (t) => {
  const call = new Call(await served(t), `${SERVICE}/ProcessStream`)
  await eventually('the headers', () => call.headers !== undefined)
  assert.equal(call.headers?.[':status'], 200)
  assert.match(String(call.headers?.['content-type']), /^application\/grpc/)
  assert.equal(call.received.length, 0)
})

for (const headerTableSize of [0, 1024, 2048]) {
  test(`a client whose header table has ${headerTableSize} bytes is served, also when that changes on the way`, async (t) => {
    const session = await served(t, new ScriptedAgent(), {}, { settings: { headerTableSize } })
    const ask = async (): Promise<void> => {
      const call = new Call(session, `${SERVICE}/ProcessStream`)
      call.stream.end(bytesOf(handshake))
      await eventually('the end', () => call.isClosed)
      assert.equal(call.status, '0')
    }
    await ask()
    await new Promise<void>((resolve) => session.ping(() => resolve()))
    await ask()
    for (const changed of [4096, 17]) {
      const open = new Call(session, `${SERVICE}/ProcessStream`)
      await eventually('the headers', () => open.headers !== undefined)
      await new Promise<void>((resolve) => session.settings({ headerTableSize: changed }, () => resolve()))
      await ask()
      open.stream.end(bytesOf(handshake))
      await eventually('the end', () => open.isClosed)
      assert.equal(open.status, '0')
    }
    assert.equal(session.destroyed, false)
  })
}

test('a stream that ends in order gets the status OK', async (t) => {
  const call = new Call(await served(t), `${SERVICE}/ProcessStream`)
  call.stream.end(bytesOf(handshake))
  await eventually('the end', () => call.isClosed)
  assert.equal(call.status, '0')
})

test('a message before the handshake ends the stream with a status, unprocessed', async (t) => {
  const agent = new ScriptedAgent()
  const call = new Call(await served(t, agent), `${SERVICE}/ProcessStream`)
  call.stream.write(bytesOf((of, out) => of.writeEvent(requestHeaders('c-1'), out)))
  await eventually('the status', () => call.status !== undefined)
  assert.notEqual(call.status, '0')
  assert.equal(agent.events.length, 0)
})

test('garbage ends its stream with a status and leaves the session to others', async (t) => {
  const session = await served(t)
  const bad = new Call(session, `${SERVICE}/ProcessStream`)
  bad.stream.write(Buffer.from([0, 0, 0, 0, 3, 0xff, 0xff, 0xff]))
  const good = new Call(session, `${SERVICE}/ProcessStream`)
  await eventually('the status', () => bad.status !== undefined)
  assert.notEqual(bad.status, '0')
  good.stream.write(bytesOf(handshake, ping))
  await eventually('the others are answered', () => good.received.length > 20)
})

test('a refused configuration ends the stream with the reason, without a pong', async (t) => {
  const agent = new ScriptedAgent()
  agent.applyConfiguration = () => Promise.reject(new Error('100 % wrong, größer'))
  const call = new Call(await served(t, agent), `${SERVICE}/ProcessStream`)
  call.stream.write(bytesOf(handshake))
  await eventually('the handshake', () => call.received.length > 0)
  const length = call.received.length
  const configure = { kind: 'configure', correlationId: '', config: {}, isInitial: true } as const
  call.stream.write(bytesOf((of, out) => of.writeEvent(configure, out), ping))
  await eventually('the end', () => call.status !== undefined)
  assert.equal(call.status, '7')
  assert.equal(decodeURIComponent(String(call.trailers?.['grpc-message'])), '100 % wrong, größer')
  assert.equal(call.received.length, length)
})

test('a configuration that is no JSON ends the stream and is not taken for applied', async (t) => {
  const agent = new ScriptedAgent()
  const call = new Call(await served(t, agent), `${SERVICE}/ProcessStream`)
  /* configure { config_json: "{" }, then a ping. */
  call.stream.write(
    Buffer.concat([bytesOf(handshake), Buffer.from('000000000552030a017b', 'hex'), bytesOf(ping)]),
  )
  await eventually('the end', () => call.status !== undefined)
  assert.notEqual(call.status, '0')
  assert.equal(agent.configurations.length, 0)
})

for (const [title, path, status] of [
  ['an unknown method is unimplemented', `${SERVICE}/Nothing`, '12'],
  ['health watching is unimplemented', '/grpc.health.v1.Health/Watch', '12'],
] as const) {
  test(title, async (t) => {
    const call = new Call(await served(t), path)
    call.stream.end()
    await eventually('the status', () => call.status !== undefined)
    assert.equal(call.headers?.[':status'], 200)
    assert.equal(call.status, status)
  })
}

test('what is not gRPC is refused by HTTP status', async (t) => {
  const session = await served(t)
  const wrongType = new Call(session, `${SERVICE}/ProcessStream`, { 'content-type': 'application/json' })
  await eventually('the status', () => wrongType.headers !== undefined)
  assert.equal(wrongType.headers?.[':status'], 415)
  const json = new Call(session, `${SERVICE}/ProcessStream`, { 'content-type': 'application/grpc+json' })
  await eventually('the status', () => json.headers !== undefined)
  assert.equal(json.headers?.[':status'], 415)
  const got = new Call(session, '/', { ':method': 'GET' })
  await eventually('the status', () => got.headers !== undefined)
  assert.equal(got.headers?.[':status'], 405)
})

test('compressed messages are refused as unimplemented', async (t) => {
  const call = new Call(await served(t), `${SERVICE}/ProcessStream`, { 'grpc-encoding': 'gzip' })
  await eventually('the status', () => call.status !== undefined)
  assert.equal(call.status, '12')
})

test('the health service knows the server and the agent service, nothing else', async (t) => {
  const session = await served(t)
  for (const [service, status] of [
    ['', '0'],
    ['zentinel.agent.v2.AgentServiceV2', '0'],
    ['other.Service', '5'],
  ] as const) {
    const call = new Call(session, '/grpc.health.v1.Health/Check')
    const name = Buffer.from(service)
    const message = service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name])
    call.stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]))
    await eventually('the status', () => call.status !== undefined)
    assert.equal(call.status, status)
    if (status === '0') assert.equal(call.received.toString('hex'), '00000000020801')
  }
})

test('ControlStream is accepted, kept open and ended in order', async (t) => {
  const call = new Call(await served(t), `${SERVICE}/ControlStream`)
  await eventually('the headers', () => call.headers !== undefined)
  call.stream.write(Buffer.from([0, 0, 0, 0, 0]))
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(call.isClosed, false)
  call.stream.end()
  await eventually('the status', () => call.status !== undefined)
  assert.equal(call.status, '0')
})

test('ProcessEvent answers a handshake, a ping and request headers', async (t) => {
  const agent = new ScriptedAgent()
  agent.answer = (event, link) => setImmediate(() => link.reply(plainAllow(event.correlationId)))
  const session = await served(t, agent)
  for (const write of [
    handshake,
    ping,
    (of: ProxyCodec, out: ByteWriter) => of.writeEvent(requestHeaders('c-1'), out),
  ]) {
    const call = new Call(session, `${SERVICE}/ProcessEvent`)
    call.stream.end(bytesOf(write))
    await eventually('the status', () => call.status !== undefined)
    assert.equal(call.status, '0')
    assert.ok(call.received.length > 5)
  }
  assert.equal(agent.events.length, 1)
  await eventually('the link of the call is closed', () => agent.closed.length === 1)
})

test('ProcessEvent takes nothing else', async (t) => {
  const agent = new ScriptedAgent()
  const session = await served(t, agent)
  for (const bytes of [
    bytesOf((of, out) => of.writeEvent(eventOf('response-headers', 'c-1'), out)),
    bytesOf((of, out) => of.writeCancel('c-1', 'timeout', 1, out)),
    Buffer.alloc(0),
  ]) {
    const call = new Call(session, `${SERVICE}/ProcessEvent`)
    call.stream.end(bytes)
    await eventually('the status', () => call.status !== undefined)
    assert.equal(call.status, '3')
  }
  assert.equal(agent.events.length, 0)
})

test('a caller of ProcessEvent that leaves cancels its event', async (t) => {
  const agent = new ScriptedAgent()
  agent.answer = () => {}
  const call = new Call(await served(t, agent), `${SERVICE}/ProcessEvent`)
  call.stream.write(bytesOf((of, out) => of.writeEvent(requestHeaders('c-1'), out)))
  await eventually('the event', () => agent.events.length === 1)
  call.stream.close(8)
  await eventually('the cancel', () => agent.cancels.length === 1)
  assert.deepEqual(agent.cancels, ['c-1 client-disconnect'])
})

test('a client that does not speak HTTP/2 is dropped', async (t) => {
  const agent = new ScriptedAgent()
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  t.after(() => listener.close())
  const socket = connectSocket(listener.port, '127.0.0.1')
  let isClosed = false
  socket.on('error', () => {})
  socket.once('close', () => (isClosed = true))
  socket.resume()
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await eventually('the socket is closed', () => isClosed)
})

test('an agent stops reading while its proxy does not take the replies', async (t) => {
  const agent = new ScriptedAgent()
  const body = 'x'.repeat(100_000)
  agent.answer = (event, link) => link.reply(reply(event.correlationId, { kind: 'block', status: 403, body }))
  const call = new Call(await served(t, agent), `${SERVICE}/ProcessStream`)
  call.stream.write(bytesOf(handshake))
  await eventually('the handshake', () => call.received.length > 0)
  call.stream.pause()
  const event = bytesOf((of, out) => of.writeEvent(requestHeaders('c-1'), out))
  const total = 20_000
  for (let index = 0; index < total; index++) call.stream.write(event)
  await eventually('the link is full', () => agent.links[0]?.isWritable === false)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(agent.events.length < total / 2, `${agent.events.length} events were read`)
  agent.answer = (seen, link) => link.reply(plainAllow(seen.correlationId))
  call.stream.removeAllListeners('data')
  call.stream.on('data', () => {})
  call.stream.resume()
  await eventually('everything is read in the end', () => agent.events.length === total, 10_000)
})

test('other services share the port', async (t) => {
  const services = new Map([
    [
      '/other.Service/Echo',
      (call: ServerCall) =>
        call.start({
          onData: (chunk) => endWithMessage(call, chunk),
          onEnd() {},
          onRetiring() {},
          onClosed() {},
        }),
    ],
  ])
  const session = await served(t, new ScriptedAgent(), { services })
  const call = new Call(session, '/other.Service/Echo')
  const framed = Buffer.from('0000000003616263', 'hex')
  call.stream.end(framed)
  await eventually('the status', () => call.status !== undefined)
  assert.equal(call.status, '0')
  assert.deepEqual(call.received, framed)
  const stream = new Call(session, `${SERVICE}/ProcessStream`)
  await eventually('the headers', () => stream.headers !== undefined)
})

test('what a caller of ControlStream asks is never accepted unseen: nothing but the end is answered', async (t) => {
  const agent = new ScriptedAgent()
  agent.capabilities = {
    ...agent.capabilities,
    features: { ...agent.capabilities.features, metricsExport: true },
    health: { ...agent.capabilities.health, reportIntervalMs: 0 },
  }
  const session = await served(t, agent)
  const call = new Call(session, `${SERVICE}/ControlStream`)
  const asks = AgentControl.encode({ config_update: { request_id: 'u-1', request_reload: {} } })
  const prefix = Buffer.from([0, 0, 0, 0, asks.length])
  call.stream.write(Buffer.concat([prefix, asks]))
  const other = new Call(session, `${SERVICE}/ProcessStream`)
  other.stream.write(bytesOf(handshake, ping))
  await eventually('the agent serves beside it', () => other.received.length > 20)
  call.stream.end()
  await eventually('the status', () => call.status !== undefined)
  assert.equal(call.status, '0')
  assert.equal(call.received.length, 0)
  assert.equal(agent.configurations.length, 0)
})
