import assert from 'node:assert/strict'
import {
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import { reply } from '../../src/core/reply.ts'
import type { HandshakeOptions } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import type { GrpcDialerOptions, GrpcImplementation } from '../../src/transport/grpc/grpc-options.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import { grpcAgentCodec } from '../../src/wire/grpc/agent-codec.ts'
import { certificates } from '../conformance/support/certificates.ts'
import { ask, failureOf, Observed, soon } from '../conformance/support/observed.ts'
import { eventOf, requestHeaders } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { HANDSHAKE, never } from '../conformance/support/transports.ts'
import { eventually } from '../support/eventually.ts'

const codec = grpcAgentCodec()
const GRPC_HEADERS = { ':status': 200, 'content-type': 'application/grpc' }

function accepted(protocolVersion = 2): Buffer {
  const out = new ByteWriter()
  const { capabilities } = new ScriptedAgent()
  codec.writeHandshakeResponse({ protocolVersion, capabilities, success: true, encoding: 'json' }, out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

const ALLOW_C1 = Buffer.from('000000000c120a0a026331120062006800', 'hex')

/** An HTTP/2 server that does to each call whatever the test says. */
async function rawGrpc(
  t: TestContext,
  onStream: (stream: ServerHttp2Stream, session: ServerHttp2Session) => void,
  settings: Settings = {},
): Promise<string> {
  const server: Http2Server = createServer({ settings })
  const sessions = new Set<ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
  })
  server.on('stream', (stream) => {
    stream.on('error', () => {})
    stream.once('end', () => stream.end())
    onStream(stream, stream.session as ServerHttp2Session)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function dial(target: string, handshake: Partial<HandshakeOptions> = {}, options: GrpcDialerOptions = {}) {
  return grpcDialer(target, { ...HANDSHAKE, ...handshake }, options).dial(never())
}

for (const implementation of ['http2', 'grpc-js'] as GrpcImplementation[]) {
  const options = { implementation }

  test(`${implementation}: the handshake is sent without waiting for headers`, async (t) => {
    const target = await rawGrpc(t, (stream) => {
      stream.once('data', () => {
        stream.respond(GRPC_HEADERS)
        stream.write(accepted())
      })
    })
    const connection = await dial(target, {}, options)
    await connection.close()
  })

  test(`${implementation}: nobody there, and a server that stays silent`, async (t) => {
    assert.equal((await failureOf(() => dial('grpc://127.0.0.1:1', {}, options))).code, 'UNAVAILABLE')
    const silent = await rawGrpc(t, (stream) => stream.resume())
    assert.equal((await failureOf(() => dial(silent, { connectTimeoutMs: 200 }, options))).code, 'TIMEOUT')
  })

  test(`${implementation}: a TCP server that never speaks HTTP/2 fails on time`, async (t) => {
    const sockets: Socket[] = []
    const server = createTcpServer((socket) => sockets.push(socket.on('error', () => {})))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    const target = `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`
    assert.equal((await failureOf(() => dial(target, { connectTimeoutMs: 200 }, options))).code, 'TIMEOUT')
  })

  for (const [title, status, code] of [
    ['unimplemented', '12', 'UNAVAILABLE'],
    ['permission denied', '7', 'PERMISSION_DENIED'],
    ['unauthenticated', '16', 'PERMISSION_DENIED'],
  ] as const) {
    test(`${implementation}: a call that ends as ${title} says so with its message`, async (t) => {
      const target = await rawGrpc(t, (stream) => {
        stream.respond(
          { ...GRPC_HEADERS, 'grpc-status': status, 'grpc-message': 'because%20of%20it' },
          { endStream: true },
        )
      })
      const error = await failureOf(() => dial(target, {}, options))
      assert.equal(error.code, code)
      assert.match(error.message, /because of it/)
    })
  }

  test(`${implementation}: a web server is not taken for an agent`, async (t) => {
    const target = await rawGrpc(t, (stream) => {
      stream.respond({ ':status': 404, 'content-type': 'text/html' })
      stream.end('<h1>no</h1>')
    })
    const error = await failureOf(() => dial(target, {}, options))
    assert.notEqual(error.code, 'TIMEOUT')
    assert.match(error.message, /404/)
  })

  test(`${implementation}: a version nobody offered is refused`, async (t) => {
    const target = await rawGrpc(t, (stream) => {
      stream.respond(GRPC_HEADERS)
      stream.write(accepted(5))
    })
    assert.equal((await failureOf(() => dial(target, {}, options))).code, 'PROTOCOL_ERROR')
  })
}

test('a pong of another sequence does not acknowledge a configuration, and nothing said meanwhile is lost', async (t) => {
  let misled!: (finish: () => void) => void
  const whenMisled = new Promise<() => void>((resolve) => {
    misled = resolve
  })
  const target = await rawGrpc(t, (stream) => {
    stream.respond(GRPC_HEADERS)
    stream.once('data', () => {
      stream.write(accepted())
      stream.on('data', () => {
        const out = new ByteWriter()
        codec.writeFlow({ action: 'pause', timestampMs: 1 }, out)
        /* pong { sequence: 99 }, and the right one later. */
        stream.write(
          Buffer.concat([out.bytes.subarray(0, out.end), Buffer.from('00000000043a020863', 'hex')]),
        )
        misled(() => void stream.write(Buffer.from('00000000023a00', 'hex')))
      })
    })
  })
  let isDialed = false
  const dialing = dial(target, { config: { a: 1 } }).then((connection) => {
    isDialed = true
    return connection
  })
  const finish = await soon('the wrong pong', whenMisled)
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(isDialed, false)
  finish()
  const connection = await soon('the connection', dialing)
  const observed = new Observed()
  connection.observe(observed)
  assert.equal(observed.flow[0]?.action, 'pause')
  await connection.close()
})

test('an agent that ends the stream instead of a pong has refused', async (t) => {
  const target = await rawGrpc(t, (stream) => {
    stream.respond(GRPC_HEADERS, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.once('data', () => {
      stream.write(accepted())
      stream.once('data', () => stream.end())
    })
  })
  assert.equal((await failureOf(() => dial(target, { config: {} }))).code, 'PERMISSION_DENIED')
})

for (const [title, kill] of [
  ['a reset stream', (stream: ServerHttp2Stream) => stream.close(2)],
  ['a cancelled stream', (stream: ServerHttp2Stream) => stream.close(8)],
  ['a lost session', (_stream: ServerHttp2Stream, session: ServerHttp2Session) => session.destroy()],
  ['an ended stream without a status', (stream: ServerHttp2Stream) => stream.end()],
  [
    'a message with a compression flag',
    (stream: ServerHttp2Stream) => stream.write(Buffer.from('01000000021200', 'hex')),
  ],
  [
    'a message longer than any may be',
    (stream: ServerHttp2Stream) => stream.write(Buffer.from('00ffffffff', 'hex')),
  ],
] as [string, (stream: ServerHttp2Stream, session: ServerHttp2Session) => void][]) {
  test(`${title} fails what waits, at once and once`, async (t) => {
    const target = await rawGrpc(t, (stream, session) => {
      stream.respond(GRPC_HEADERS)
      stream.once('data', () => {
        stream.write(accepted())
        stream.once('data', () => kill(stream, session))
      })
    })
    const connection = await dial(target)
    const observed = new Observed()
    connection.observe(observed)
    const asked = ask(connection, requestHeaders('c-1'))
    const error = await failureOf(() => soon('the loss', asked.outcome))
    assert.equal(error.code, 'CONNECTION_LOST')
    assert.equal(error.sent, true)
    assert.equal(observed.closed.length, 1)
    assert.equal(asked.settled, 1)
    await soon('the end', connection.close())
  })
}

for (const settings of [{ headerTableSize: 0 }, { headerTableSize: 1024 }, { headerTableSize: 2048 }]) {
  test(`a server whose settings are ${JSON.stringify(settings)} is understood, and understands`, async (t) => {
    let end: string | undefined
    const target = await rawGrpc(
      t,
      (stream) => {
        stream.respond(GRPC_HEADERS, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.once('close', () => (end = `closed with code ${stream.rstCode}`))
        stream.once('data', () => {
          stream.write(accepted())
          stream.on('data', () => stream.write(ALLOW_C1))
        })
      },
      settings,
    )
    const connection = await dial(target)
    await soon('the reply', ask(connection, requestHeaders('c1')).outcome)
    await connection.close()
    await eventually('the end', () => end !== undefined)
    assert.equal(end, 'closed with code 0')
  })
}

test('a server that announces its end is told of as such, and the stream goes on', async (t) => {
  const target = await rawGrpc(t, (stream, session) => {
    stream.respond(GRPC_HEADERS)
    stream.once('data', () => {
      stream.write(accepted())
      stream.once('data', () => {
        session.goaway(0, 1)
        setTimeout(() => stream.write(ALLOW_C1), 20)
      })
    })
  })
  const connection = await dial(target)
  const observed = new Observed()
  connection.observe(observed)
  await soon('the reply', ask(connection, requestHeaders('c1')).outcome)
  assert.equal(observed.retiring, 1)
  assert.equal(connection.isClosed, false)
  await connection.close()
})

test('an agent that reads nothing makes its connection unwritable, until it reads', async (t) => {
  let stuck: ServerHttp2Stream | undefined
  const target = await rawGrpc(t, (stream) => {
    stream.respond(GRPC_HEADERS)
    stream.once('data', () => {
      stream.write(accepted())
      stream.pause()
      stuck = stream
    })
  })
  const connection = await dial(target)
  const observed = new Observed()
  connection.observe(observed)
  const event = { ...requestHeaders('c-1'), headers: ['x', 'y'.repeat(50_000)] }
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 100 && connection.isWritable; index++) {
      ask(connection, event)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal(connection.isWritable, false)
  }
  await fill()
  assert.equal((await failureOf(() => connection.ping(40))).code, 'TIMEOUT')
  stuck!.resume()
  await eventually('it is writable again', () => observed.writable === 1 && connection.isWritable)
  stuck!.pause()
  await fill()
  await soon('the close', connection.close(), 4000)
})

test('each dial takes the next address of the rotation', async (t) => {
  const agent = new ScriptedAgent()
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  t.after(() => listener.close())
  const turns: number[] = []
  let turn = 0
  const rotation = (): number => {
    turns.push(turn)
    return turn++
  }
  const dialer = grpcDialer(`grpc://127.0.0.1:${listener.port}`, HANDSHAKE, { rotation })
  for (const connection of await Promise.all([dialer.dial(never()), dialer.dial(never())]))
    await connection.close()
  assert.deepEqual(turns, [0, 1])
  const error = await failureOf(() => dial('grpc://no-such-name.invalid:1'))
  assert.equal(error.code, 'UNAVAILABLE')
})

test('HTTP/2 pings find a peer that stopped answering', async (t) => {
  let stuck: Socket | undefined
  const server = createServer()
  server.on('connection', (socket: Socket) => (stuck = socket))
  server.on('stream', (stream) => {
    stream.on('error', () => {})
    stream.respond(GRPC_HEADERS)
    stream.once('data', () => stream.write(accepted()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    stuck?.destroy()
    server.close()
  })
  const target = `grpc://127.0.0.1:${(server.address() as AddressInfo).port}`
  const connection = await dial(target, {}, { keepalive: { intervalMs: 30, timeoutMs: 1000 } })
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.equal(connection.isClosed, false)
  /* The process of the peer hangs: its socket stays open and nothing is read any more. */
  const handle = (stuck as unknown as { _handle: { readStop(): void } })._handle
  handle.readStop()
  await eventually('the connection is given up', () => connection.isClosed)
  await soon('the end', connection.close())
})

test('TLS is checked, and told apart from plaintext by the scheme alone', async (t) => {
  const { ca, server, client, stranger } = certificates()
  const agent = new ScriptedAgent()
  const listener = await listenGrpc('grpcs://127.0.0.1:0', agent.options, {
    tls: { ...server, clientCa: ca },
  })
  t.after(() => listener.close())
  const target = `grpcs://localhost:${listener.port}`
  const limit = {}
  const codeOf = async (tls: GrpcDialerOptions['tls'], to = target): Promise<string> =>
    (await failureOf(() => dial(to, limit, { tls }))).code
  assert.equal(await codeOf(undefined), 'UNAVAILABLE')
  assert.equal(await codeOf({ ...client }), 'UNAVAILABLE')
  assert.equal(await codeOf({ ca }), 'UNAVAILABLE')
  assert.equal(await codeOf({ ca, ...stranger }), 'UNAVAILABLE')
  assert.equal(await codeOf({ ca, ...client, serverName: 'other.example' }), 'UNAVAILABLE')
  const skipping = await dial(target, limit, { tls: { ...client, insecureSkipVerify: true } })
  await skipping.close()
  const named = await dial(`https://127.0.0.1:${listener.port}`, limit, { tls: { ca, ...client } })
  await named.close()
  assert.throws(() => grpcDialer('https://waf.example:443', HANDSHAKE), { code: 'INVALID_ARGUMENT' })
  assert.throws(() => grpcDialer('grpc://waf.example:443', HANDSHAKE, { tls: {} }), {
    code: 'INVALID_ARGUMENT',
  })
  assert.throws(() => grpcDialer('unix:/run/a.sock', HANDSHAKE), { code: 'INVALID_ARGUMENT' })
  assert.equal(
    (await failureOf(() => listenGrpc('grpcs://127.0.0.1:0', agent.options))).code,
    'INVALID_ARGUMENT',
  )
  assert.equal(
    (await failureOf(() => listenGrpc(`127.0.0.1:${listener.port}`, agent.options))).code,
    'CONFLICT',
  )
})

test('limits on message sizes hold in both directions', async (t) => {
  const agent = new ScriptedAgent()
  agent.answer = (event, link) =>
    link.reply(reply(event.correlationId, { kind: 'block', status: 403, body: 'x'.repeat(6000) }))
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  t.after(() => listener.close())
  const limits = { maxPayloadBytes: 5000, maxSendBytes: 1000 }
  const connection = await dial(`grpc://127.0.0.1:${listener.port}`, {}, { limits })
  const big = { ...requestHeaders('c-1'), headers: ['x', 'y'.repeat(1000)] }
  const error = await failureOf(() => ask(connection, big))
  assert.equal(error.code, 'TOO_LARGE')
  assert.equal(error.sent, false)
  const observed = new Observed()
  connection.observe(observed)
  const lost = await failureOf(() => soon('the loss', ask(connection, requestHeaders('c-2')).outcome))
  assert.equal(lost.code, 'CONNECTION_LOST')
  assert.equal(observed.closed[0]?.code, 'TOO_LARGE')
})

for (const [dialer, server] of [
  ['http2', 'http2'],
  ['http2', 'grpc-js'],
  ['grpc-js', 'http2'],
] as const) {
  test(`${dialer} to ${server}: messages between four and ten megabytes arrive both ways`, async (t) => {
    const agent = new ScriptedAgent()
    const bytes = 9 * 1024 * 1024
    agent.answer = (event, link) =>
      link.reply(reply(event.correlationId, { kind: 'block', status: 403, body: 'x'.repeat(bytes) }))
    const limits = { maxSendBytes: 10 * 1024 * 1024 }
    const listener = await listenGrpc('127.0.0.1:0', agent.options, { implementation: server, limits })
    t.after(() => listener.close())
    const target = `grpc://127.0.0.1:${listener.port}`
    const connection = await dial(target, {}, { implementation: dialer, limits })
    const chunk = eventOf('request-body-chunk', 'c-1') as BodyChunkEvent
    const { outcome } = ask(connection, { ...chunk, data: Buffer.alloc(bytes, 7) })
    const { decision } = await soon('the reply', outcome, 15_000)
    assert.equal((agent.events[0] as BodyChunkEvent).data.length, bytes)
    assert.equal(decision.kind === 'block' && decision.body?.length, bytes)
    await connection.close()
  })
}

test('a configuration is not told to a server whose certificate nobody vouches for', async (t) => {
  const { ca, server, stranger } = certificates()
  let heard = 0
  const impostor = createTlsServer({ ...stranger, ALPNProtocols: ['h2'] }, (socket) => {
    socket
      .on('error', () => {})
      .on('data', (bytes: Buffer) => {
        heard += bytes.length
      })
  })
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
  t.after(() => impostor.close())
  const { port } = impostor.address() as AddressInfo
  const config = { key: 's3cr3t' }
  for (const tls of [{ ca }, { ca, serverName: 'localhost' }]) {
    const error = await failureOf(() => dial(`grpcs://127.0.0.1:${port}`, { config }, { tls }))
    assert.equal(error.code, 'UNAVAILABLE')
  }
  assert.equal(heard, 0, 'nothing was said inside the encryption')
  const agent = new ScriptedAgent()
  const listener = await listenGrpc('grpcs://127.0.0.1:0', agent.options, { tls: server })
  t.after(() => listener.close())
  const connection = await dial(`grpcs://localhost:${listener.port}`, { config }, { tls: { ca } })
  assert.deepEqual(agent.configurations[0]?.config, config)
  await connection.close()
})
