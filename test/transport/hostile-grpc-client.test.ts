import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import { encodeHeaders } from '../../src/transport/h2/hpack-encoder.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { requestHeaders } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { framesIn, h2, type RawFrame, SETTINGS } from './support/raw-http2.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const SERVICE = '/zentinel.agent.v2.AgentServiceV2'

function bytesOf(...writes: ((codec: ProxyCodec, out: ByteWriter) => void)[]): Buffer {
  const out = new ByteWriter()
  for (const write of writes) write(grpcProxyCodec(), out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

const handshake = (codec: ProxyCodec, out: ByteWriter): void =>
  codec.writeHandshake(
    { supportedVersions: [2], proxyId: 'raw', proxyVersion: '1', config: undefined, supportedEncodings: [] },
    out,
  )
const event = (id: string) => bytesOf((codec, out) => codec.writeEvent(requestHeaders(id), out))

function call(stream: number, method = 'ProcessStream', flags = 4): Buffer {
  const headers = encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', `${SERVICE}/${method}`],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
  ])
  return h2(1, flags, stream, headers)
}

/** A client that says whatever the test wants. */
class RawClient {
  readonly socket: Socket
  received = Buffer.alloc(0)
  isGone = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk: Buffer) => (this.received = Buffer.concat([this.received, chunk])))
    this.socket.once('close', () => (this.isGone = true))
  }

  send(...bytes: Buffer[]): void {
    this.socket.write(Buffer.concat(bytes))
  }

  get frames(): RawFrame[] {
    return framesIn(this.received)
  }

  /** What was answered on a stream, by type of frame. */
  on(stream: number, type: number): RawFrame[] {
    return this.frames.filter((frame) => frame.stream === stream && frame.type === type)
  }

  get goawayCode(): number | undefined {
    return this.frames.find(({ type }) => type === 7)?.payload.readUInt32BE(4)
  }
}

async function served(
  t: TestContext,
  agent = new ScriptedAgent(),
): Promise<{ readonly client: RawClient; readonly agent: ScriptedAgent; readonly port: number }> {
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  const client = new RawClient(listener.port)
  t.after(async () => {
    client.socket.destroy()
    await listener.close()
  })
  return { client, agent, port: listener.port }
}

/** As `served`, with a call that has shaken hands on stream 1. */
async function greeted(t: TestContext, agent = new ScriptedAgent(), settings = SETTINGS) {
  const house = await served(t, agent)
  house.client.send(PREFACE, settings, call(1), h2(0, 0, 1, bytesOf(handshake)))
  await eventually('the handshake', () => house.client.on(1, 0).length > 0)
  return house
}

const VIOLATIONS: readonly [title: string, bytes: Buffer, code: number][] = [
  ['a frame over the agreed size', h2(0, 0, 1, Buffer.alloc(256 * 1024 + 1)).subarray(0, 9), 6],
  ['data of a stream that was never opened', h2(0, 0, 3, 'aa'), 1],
  ['a stream of an even number', call(2), 1],
  ['a window update of a stream that was never opened', h2(8, 0, 7, '00000001'), 1],
  ['a reset of a stream that was never opened', h2(3, 0, 7, '00000008'), 1],
  ['a stream window that overflows', h2(8, 0, 1, '7fffffff'), 3],
  ['a connection window that overflows', h2(8, 0, 0, '7fffffff'), 3],
  [
    'an initial window that makes a window overflow',
    Buffer.concat([h2(8, 0, 1, '7fff0000'), h2(4, 0, 0, '00047fffffff')]),
    3,
  ],
  ['a push', h2(5, 4, 1, '0000000288'), 1],
  ['headers that cannot be decoded', h2(1, 5, 3, 'ffffffffffff'), 9],
  [
    'a header block without an end',
    Buffer.concat([h2(1, 0, 3), ...Array(4).fill(h2(9, 0, 3, Buffer.alloc(16_384))), h2(9, 0, 3, '00')]),
    11,
  ],
  [
    'continuations of nothing without an end',
    Buffer.concat([h2(1, 0, 3), ...Array(100).fill(h2(9, 0, 3))]),
    11,
  ],
  ['a frame amid a header block', Buffer.concat([h2(1, 0, 3), h2(0, 0, 1, 'aa')]), 1],
  ['trailers that do not end the stream', call(1), 1],
  ['settings by the thousand in one frame', h2(4, 0, 0, Buffer.alloc(6 * 10_000)).subarray(0, 9), 11],
]

for (const [title, bytes, code] of VIOLATIONS) {
  test(`${title}: the client is told why and dropped, its calls are closed, and others are served`, async (t) => {
    const agent = new ScriptedAgent()
    agent.answer = () => {}
    const { client, port } = await greeted(t, agent)
    client.send(h2(0, 0, 1, event('c-1')))
    await eventually('the event', () => agent.events.length === 1)
    client.send(bytes)
    await eventually('the client is dropped', () => client.isGone)
    const codes = client.frames.filter(({ type }) => type === 7).map(({ payload }) => payload.readUInt32BE(4))
    assert.deepEqual(codes, [code])
    await eventually('the call is closed', () => agent.closed.length >= 1)
    const other = new RawClient(port)
    t.after(() => other.socket.destroy())
    other.send(PREFACE, SETTINGS, call(1), h2(0, 0, 1, bytesOf(handshake)))
    await eventually('another client is served', () => other.on(1, 0).length > 0)
  })
}

test('what does not begin with the preface is dropped, and one that begins with something else than settings', async (t) => {
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSN'),
    Buffer.concat([PREFACE, call(1)]),
    Buffer.concat([PREFACE, h2(4, 1, 0)]),
  ]) {
    const { client } = await served(t)
    client.send(bytes)
    await eventually('it is dropped', () => client.isGone)
  }
})

test('a preface, settings and a call are read byte by byte', async (t) => {
  const { client } = await served(t)
  const all = Buffer.concat([PREFACE, SETTINGS, call(1), h2(0, 0, 1, bytesOf(handshake))])
  client.socket.setNoDelay(true)
  for (const byte of all) await new Promise((resolve) => client.socket.write(Buffer.of(byte), resolve))
  await eventually('the handshake', () => client.on(1, 0).length > 0)
})

for (const [title, fields] of [
  [
    'no path',
    [
      [':method', 'POST'],
      [':scheme', 'http'],
    ],
  ],
  [
    'a pseudo-header behind others',
    [
      [':method', 'POST'],
      [':scheme', 'http'],
      ['te', 'trailers'],
      [':path', '/'],
    ],
  ],
  [
    'a name in capitals',
    [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
      ['Te', 'trailers'],
    ],
  ],
  [
    'an unknown pseudo-header',
    [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
      [':status', '200'],
    ],
  ],
  ...(
    [
      ['connection', 'close'],
      ['keep-alive', 'timeout=5'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'h2c'],
      ['te', 'gzip'],
    ] as [string, string][]
  ).map((field) => [
    `the field ${field.join(': ')}`,
    [[':method', 'POST'], [':scheme', 'http'], [':path', '/'], field],
  ]),
] as [string, [string, string][]][]) {
  test(`a request with ${title} is reset, and the connection goes on`, async (t) => {
    const { client } = await greeted(t)
    client.send(h2(1, 5, 3, encodeHeaders(fields)), call(5), h2(0, 0, 5, bytesOf(handshake)))
    await eventually('the next call is answered', () => client.on(5, 0).length > 0)
    assert.equal(client.on(3, 3)[0]?.payload.readUInt32BE(0), 1)
    assert.equal(client.on(3, 1).length, 0)
  })
}

for (const field of [
  [':path', '/'],
  ['connection', 'close'],
] as [string, string][]) {
  test(`trailers with ${field[0]} end their call alone, and not in order`, async (t) => {
    const { client, agent } = await greeted(t)
    client.send(h2(1, 5, 1, encodeHeaders([field])), call(3), h2(0, 0, 3, bytesOf(handshake)))
    await eventually('the next call is answered', () => client.on(3, 0).length > 0)
    assert.equal(client.on(1, 3)[0]?.payload.readUInt32BE(0), 1)
    assert.equal(client.on(1, 1).filter(({ flags }) => (flags & 1) === 1).length, 0)
    await eventually('its link is closed', () => agent.closed.length === 1)
    assert.match(agent.closed[0]!.message, /malformed trailers/)
  })
}

test('calls above the limit are refused alone', async (t) => {
  const { client } = await served(t)
  client.send(PREFACE, SETTINGS)
  for (let n = 0; n < 1025; n++) client.send(call(1 + n * 2))
  await eventually('the last one is refused', () => client.on(2049, 3).length === 1)
  assert.equal(client.on(2049, 3)[0]?.payload.readUInt32BE(0), 7)
  assert.equal(client.frames.filter(({ type }) => type === 3).length, 1)
  client.send(h2(3, 0, 1, '00000008'), call(2051))
  await eventually('there is room again', () => client.on(2051, 1).length === 1)
})

test('calls that are opened and reset by the thousand end the connection, thousands of ended ones do not', async (t) => {
  const { client, agent } = await served(t)
  client.send(PREFACE, SETTINGS)
  let stream = 1
  for (let turn = 0; turn < 30; turn++) {
    const burst: Buffer[] = []
    for (let n = 0; n < 100; n++, stream += 2) burst.push(call(stream), h2(3, 0, stream, '00000008'))
    client.send(...burst)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await eventually('they were read', () => client.on(stream - 2, 1).length === 1)
  assert.equal(client.isGone, false)
  for (let turn = 0; turn < 300 && !client.isGone; turn++) {
    const burst: Buffer[] = []
    for (let n = 0; n < 100; n++, stream += 2) burst.push(call(stream), h2(3, 0, stream, '00000008'))
    client.send(...burst)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await eventually('the client is dropped', () => client.isGone)
  assert.equal(agent.links.length, 0)
})

for (const [title, request] of [
  ['pings', h2(6, 0, 0, '0102030405060708')],
  ['settings', SETTINGS],
] as const) {
  test(`a flood of ${title} from a client that reads nothing is cut off`, async (t) => {
    const { client, agent } = await greeted(t)
    client.socket.pause()
    const flood = Buffer.concat(Array(5000).fill(request))
    for (let turn = 0; turn < 2000 && agent.closed.length === 0; turn++) {
      if (!client.socket.destroyed) client.socket.write(flood)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually('it is cut off', () => agent.closed.length === 1)
  })
}

test('replies leave as the windows of the client allow, each call by its own, and arrive whole', async (t) => {
  const agent = new ScriptedAgent()
  const body = 'weir'.repeat(20_000)
  agent.answer = (asked, link) => link.reply(reply(asked.correlationId, { kind: 'block', status: 403, body }))
  /* Initial window: 5,000 bytes. */
  const { client } = await greeted(t, agent, h2(4, 0, 0, '000400001388'))
  client.send(call(3), h2(0, 0, 3, bytesOf(handshake)), h2(0, 0, 3, event('c-3')), h2(0, 0, 1, event('c-1')))
  const sent = (stream: number): number =>
    client.on(stream, 0).reduce((sum, { payload }) => sum + payload.length, 0)
  await eventually('both windows are used up', () => sent(1) === 5000 && sent(3) === 5000)
  client.send(h2(8, 0, 3, '00100000'), h2(8, 0, 0, '00100000'))
  await eventually('the one with room is answered', () => sent(3) > 80_000)
  assert.equal(sent(1), 5000)
  client.send(h2(4, 0, 0, '000400100000'))
  await eventually('the other too', () => sent(1) > 80_000)
  for (const stream of [1, 3])
    assert.ok(Buffer.concat(client.on(stream, 0).map(({ payload }) => payload)).includes(body))
  for (const { type, payload } of client.frames) assert.ok(type !== 0 || payload.length <= 16_384)
})

test('the first header block that leaves after a new size of the header table says that none of it is used', async (t) => {
  const { client } = await served(t)
  const blocks = (stream: number): boolean[] => client.on(stream, 1).map(({ payload }) => payload[0] === 0x20)
  /* A first window of nothing, so that the answer and the trailers behind it wait. */
  client.send(PREFACE, h2(4, 0, 0, '000400000000'), call(1, 'ProcessEvent'), h2(0, 1, 1, bytesOf(handshake)))
  await eventually('the headers', () => blocks(1).length === 1)
  client.send(h2(4, 0, 0, '000100000000'), call(3))
  await eventually('the headers', () => blocks(3).length === 1)
  client.send(h2(8, 0, 1, '00100000'))
  await eventually('the trailers', () => blocks(1).length === 2)
  client.send(h2(4, 0, 0, '000100001000000100000400'), call(5), call(7))
  await eventually('the headers', () => blocks(7).length === 1)
  assert.deepEqual([blocks(1), blocks(3), blocks(5), blocks(7)], [[false, false], [true], [true], [false]])
})

test('a client that sends beyond the window of a call that is not read is dropped', async (t) => {
  const agent = new ScriptedAgent()
  const body = 'x'.repeat(100_000)
  agent.answer = (asked, link) => link.reply(reply(asked.correlationId, { kind: 'block', status: 403, body }))
  const { client } = await greeted(t, agent)
  for (let n = 0; n < 40; n++) client.send(h2(0, 0, 1, event(`c-${n}`)))
  await eventually('the link is full', () => agent.links[0]?.isWritable === false)
  const seen = agent.events.length
  const filler = Buffer.alloc(256 * 1024)
  for (let n = 0; n < 16; n++) client.send(h2(0, 0, 1, filler))
  await eventually('it is dropped', () => client.isGone)
  assert.equal(agent.events.length, seen)
  assert.match(agent.closed[0]!.message, /bytes of data where \d+ were allowed/)
})

test('a call that the client half closes is answered to its end; one whose connection it drops is closed', async (t) => {
  const agent = new ScriptedAgent()
  const { client } = await greeted(t, agent)
  client.send(h2(0, 1, 1))
  await eventually('the trailers', () => client.on(1, 1).some(({ flags }) => (flags & 1) === 1))
  client.send(call(3), h2(0, 0, 3, bytesOf(handshake)))
  await eventually('the next call', () => client.on(3, 0).length > 0)
  client.socket.end()
  await eventually('its link is closed', () => agent.closed.length === 2)
  await eventually('the connection too', () => client.isGone)
})

test('a closing server lets calls end with their status, says goodbye and closes', async (t) => {
  const agent = new ScriptedAgent()
  agent.answer = (asked, link) => link.reply(plainAllow(asked.correlationId))
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  const client = new RawClient(listener.port)
  t.after(() => client.socket.destroy())
  client.send(PREFACE, SETTINGS, call(1), h2(0, 0, 1, bytesOf(handshake)), h2(0, 0, 1, event('c-1')))
  await eventually('the reply', () => client.received.includes('c-1'))
  const closing = listener.close()
  await eventually('the trailers', () => client.on(1, 1).some(({ flags }) => (flags & 1) === 1))
  client.send(h2(0, 1, 1))
  await closing
  await eventually('it is closed', () => client.isGone)
  assert.equal(client.goawayCode, 0)
  assert.equal(client.frames.find(({ type }) => type === 7)?.payload.readUInt32BE(0), 1)
})

test('a goodbye names the last call that was taken, whatever the reason, and later ones name none above it', async (t) => {
  const goodbyes = (client: RawClient): number[][] =>
    client.frames
      .filter(({ type }) => type === 7)
      .map(({ payload }) => [payload.readUInt32BE(0), payload.readUInt32BE(4)])
  const ended: readonly [title: string, last: Buffer, code: number][] = [
    ['its calls end', Buffer.concat([h2(3, 0, 1, '00000008'), h2(3, 0, 3, '00000008')]), 0],
    ['it breaks the protocol', h2(8, 0, 1, '00000000'), 1],
  ]
  for (const [title, last, code] of ended) {
    const listener = await listenGrpc('127.0.0.1:0', new ScriptedAgent().options)
    const client = new RawClient(listener.port)
    t.after(() => client.socket.destroy())
    client.send(PREFACE, SETTINGS, call(1, 'ControlStream'), call(3, 'ControlStream'))
    await eventually('both are open', () => client.on(1, 1).length + client.on(3, 1).length === 2)
    const closing = listener.close()
    await eventually('a goodbye', () => goodbyes(client).length === 1)
    client.send(call(9))
    await eventually('the late one is refused', () => client.on(9, 3).length === 1)
    assert.equal(client.on(9, 3)[0]?.payload.readUInt32BE(0), 7)
    client.send(last)
    await closing
    await eventually('it is closed', () => client.isGone)
    assert.deepEqual(
      goodbyes(client),
      [
        [3, 0],
        [3, code],
      ],
      title,
    )
  }
  const { client } = await greeted(t)
  client.send(call(3), h2(8, 0, 1, '00000000'))
  await eventually('it is dropped', () => client.isGone)
  assert.deepEqual(goodbyes(client), [[3, 1]])
})

test('whatever a client mixes up, nothing is thrown and others are served', async (t) => {
  const { port, agent } = await served(t)
  agent.answer = (asked, link) => link.reply(plainAllow(asked.correlationId))
  const hello = h2(0, 0, 1, bytesOf(handshake))
  const frames = [
    SETTINGS,
    call(1),
    hello,
    h2(0, 0, 1, event('c-1')),
    call(3),
    h2(8, 0, 1, '00000001'),
    h2(3, 0, 3, '00000008'),
    h2(0, 1, 1),
  ]
  let seed = 7
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % limit
  }
  for (let round = 0; round < 150; round++) {
    const client = new RawClient(port)
    const parts = [
      SETTINGS,
      call(1),
      hello,
      ...Array.from({ length: 6 }, () => frames[below(frames.length)]!),
    ]
    const bytes = Buffer.concat(parts)
    for (let flips = below(5); flips > 0; flips--) bytes[below(bytes.length)]! ^= 1 + below(255)
    client.send(PREFACE)
    for (let at = 0; at < bytes.length; ) {
      const size = 1 + below(400)
      client.send(bytes.subarray(at, at + size))
      at += size
    }
    client.socket.end()
    await eventually('it is over', () => client.isGone)
  }
  const last = new RawClient(port)
  t.after(() => last.socket.destroy())
  last.send(PREFACE, SETTINGS, call(1), hello)
  await eventually('the last one is served', () => last.on(1, 0).length > 0)
})
