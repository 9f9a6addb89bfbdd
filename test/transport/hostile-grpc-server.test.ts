import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import type { Connection } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { ask, failureOf, Observed, soon } from '../conformance/support/observed.ts'
import { eventOf, requestHeaders } from '../conformance/support/sample-events.ts'
import { HANDSHAKE, never } from '../conformance/support/transports.ts'
import { eventually } from '../support/eventually.ts'
import {
  acceptedFrame,
  framesIn,
  h2,
  type RawClientOfOurs,
  RESPONSE,
  rawHttp2Server,
  SETTINGS,
  TRAILERS_OK,
} from './support/raw-http2.ts'

const ALLOW_C1 = '000000000c120a0a026331120062006800'

async function connected(
  t: TestContext,
  greeting: readonly Buffer[] = [SETTINGS, RESPONSE, acceptedFrame()],
): Promise<{ connection: Connection; server: RawClientOfOurs; observed: Observed }> {
  const { target, clients } = await rawHttp2Server(t, (client) => client.send(...greeting))
  const connection = await grpcDialer(target, HANDSHAKE).dial(never())
  const observed = new Observed()
  connection.observe(observed)
  const server = clients[0]!
  await eventually('our settings were taken', () =>
    server.frames.some(({ type, flags }) => type === 4 && flags === 1),
  )
  return { connection, server, observed }
}

const header = (name: string, value: string): string =>
  [name, value]
    .map((text) => Buffer.from([text.length]).toString('hex') + Buffer.from(text).toString('hex'))
    .join('')

/** What a server must not send once the call is open, and the HTTP/2 code that it is told. */
const VIOLATIONS: readonly [title: string, bytes: Buffer, code: number][] = [
  ['bytes of no sense', Buffer.from('what is this? nothing that anybody understands'), 6],
  ['a frame over the agreed size', h2(0, 0, 1, Buffer.alloc(256 * 1024 + 1)).subarray(0, 9), 6],
  ['data of a stream that was never opened', h2(0, 0, 3, 'aa'), 1],
  ['data of no stream', h2(0, 0, 0, 'aa'), 1],
  ['a push', h2(5, 4, 1, '00000002' + '88'), 1],
  ['settings on a stream', h2(4, 0, 1), 1],
  ['settings of a broken length', h2(4, 0, 0, '0004'), 6],
  ['an acknowledgement with settings in it', h2(4, 1, 0, '000400000000'), 6],
  ['settings of a window that is too large', h2(4, 0, 0, '000480000000'), 3],
  ['settings of frames that are too small', h2(4, 0, 0, '000500000001'), 1],
  ['settings of a server that wants pushes', h2(4, 0, 0, '000200000001'), 1],
  ['settings by the thousand in one frame', h2(4, 0, 0, Buffer.alloc(6 * 10_000)).subarray(0, 9), 11],
  ['a ping of a wrong length', h2(6, 0, 0, '00'), 6],
  ['a ping on a stream', h2(6, 0, 1, '0000000000000000'), 1],
  ['a window update by nothing', h2(8, 0, 1, '00000000'), 1],
  ['a stream window that overflows', h2(8, 0, 1, '7fffffff'), 3],
  ['a connection window that overflows', h2(8, 0, 0, '7fffffff'), 3],
  ['a window update of a stream that was never opened', h2(8, 0, 5, '00000001'), 1],
  ['a reset of a wrong length', h2(3, 0, 1, '00'), 6],
  ['a reset of a stream that was never opened', h2(3, 0, 9, '00000000'), 1],
  ['a goodbye that is too short', h2(7, 0, 0, '00000000'), 6],
  ['a priority of a wrong length', h2(2, 0, 1, '00'), 6],
  ['a continuation of nothing', h2(9, 4, 1, '88'), 1],
  ['a frame amid a header block', Buffer.concat([h2(1, 0, 1, '88'), h2(6, 0, 0, '0000000000000000')]), 1],
  ['a continuation of another stream', Buffer.concat([h2(1, 0, 1, '88'), h2(9, 4, 3, '88')]), 1],
  ['headers that cannot be decoded', h2(1, 5, 1, 'ffffffffffff'), 9],
  ['Huffman codes that cannot be decoded', h2(1, 5, 1, `00016184${'ffffffff'}`), 9],
  [
    'headers of more than was allowed',
    h2(1, 5, 1, `400161${'7fa11e'}${'78'.repeat(4000)}${'be'.repeat(1000)}`),
    11,
  ],
  [
    'a header block without an end',
    Buffer.concat([h2(1, 0, 1), ...Array(4).fill(h2(9, 0, 1, Buffer.alloc(16_384))), h2(9, 0, 1, '00')]),
    11,
  ],
  [
    'continuations of nothing without an end',
    Buffer.concat([h2(1, 0, 1), ...Array(100).fill(h2(9, 0, 1))]),
    11,
  ],
  ['trailers that do not end the stream', h2(1, 4, 1, `00${header('grpc-status', '0')}`), 1],
  ['an end without a status', h2(0, 1, 1), 1],
  ['trailers without a status', h2(1, 5, 1, `00${header('x-other', '0')}`), 1],
  ['padding beyond its frame', h2(0, 8, 1, 'ff00'), 1],
]

for (const [title, bytes, code] of VIOLATIONS) {
  test(`${title}: what waits fails at once, and the server is told why`, async (t) => {
    const { connection, server, observed } = await connected(t)
    const asked = [ask(connection, requestHeaders('c-1')), ask(connection, requestHeaders('c-2'))]
    await eventually('the events arrived', () => server.data.includes('c-2'))
    server.send(bytes)
    for (const { outcome } of asked) {
      const error = await failureOf(() => soon('the loss', outcome))
      assert.equal(error.code, 'CONNECTION_LOST')
      assert.equal(error.sent, true)
    }
    assert.deepEqual(
      observed.closed.map((reason) => reason.code),
      ['PROTOCOL_ERROR'],
    )
    await eventually('the connection is gone', () => server.isGone)
    assert.equal(server.goawayCode, code)
  })
}

test('before the greeting too: what is no HTTP/2 fails the dial at once', async (t) => {
  for (const bytes of [
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    RESPONSE,
    h2(4, 1, 0),
    Buffer.concat([SETTINGS, h2(0, 0, 1, 'aa')]),
    Buffer.concat([SETTINGS, RESPONSE, h2(0, 0, 1, '0000000001ff'), h2(0, 0, 0)]),
  ]) {
    const { target } = await rawHttp2Server(t, (client) => client.send(bytes))
    const error = await failureOf(() => soon('the failure', grpcDialer(target, HANDSHAKE).dial(never())))
    assert.equal(error.code, 'PROTOCOL_ERROR')
  }
})

for (const [title, request, reply] of [
  ['pings', h2(6, 0, 0, '0102030405060708'), '0102030405060708'],
  ['settings', SETTINGS, ''],
] as const) {
  test(`${title} are answered one for one, and a flood of them from a server that reads nothing is cut off`, async (t) => {
    const { connection, server, observed } = await connected(t)
    const answers = (): number =>
      server.frames.filter(
        ({ flags, payload, type }) => flags === 1 && type !== 0 && payload.toString('hex') === reply,
      ).length
    const before = answers()
    server.send(request, request, request)
    await eventually('three answers', () => answers() === before + 3)
    assert.equal(connection.isClosed, false)
    server.socket.pause()
    const flood = Buffer.concat(Array(5000).fill(request))
    const send = async (): Promise<void> => {
      for (let turn = 0; turn < 2000 && !connection.isClosed; turn++) {
        if (!server.socket.destroyed) server.socket.write(flood)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await send()
    await eventually('it is cut off', () => connection.isClosed)
    assert.equal(observed.closed[0]?.code, 'PROTOCOL_ERROR')
    assert.match(observed.closed[0]!.message, /no answer is read/)
  })
}

test('frames of unknown types, padding, priorities and information are passed over', async (t) => {
  const info = h2(1, 4, 1, `0803${Buffer.from('103').toString('hex')}`)
  const { connection, server } = await connected(t, [
    SETTINGS,
    h2(0xfe, 0xff, 77, Buffer.alloc(100_000)),
    info,
    RESPONSE,
    h2(2, 0, 1, '0000000000'),
    acceptedFrame(),
  ])
  const padded = Buffer.concat([Buffer.of(7), Buffer.from(ALLOW_C1, 'hex'), Buffer.alloc(7)])
  const { outcome } = ask(connection, requestHeaders('c1'))
  await eventually('the event arrived', () => server.data.includes('c1'))
  for (const byte of Buffer.concat([h2(0x55, 0, 0, 'aabb'), h2(0, 8, 1, padded)]))
    await new Promise((resolve) => server.socket.write(Buffer.of(byte), resolve))
  await soon('the reply', outcome)
  await connection.close()
})

test('headers split over continuations are read', async (t) => {
  const response = RESPONSE.subarray(9)
  const pieces = [h2(1, 8, 1, Buffer.concat([Buffer.of(2), response.subarray(0, 3), Buffer.alloc(2)]))]
  for (let at = 3; at < response.length; at++)
    pieces.push(h2(9, at === response.length - 1 ? 4 : 0, 1, response.subarray(at, at + 1)))
  const { connection } = await connected(t, [SETTINGS, ...pieces, acceptedFrame()])
  await connection.close()
})

test('data is sent as the windows and frame size of the server allow, and arrives whole', async (t) => {
  const { connection, server } = await connected(t, [
    /* Initial window 1000 bytes, frames of 16,384. */
    h2(4, 0, 0, '0004000003e8'),
    RESPONSE,
    acceptedFrame(),
  ])
  const greeting = server.data.length
  const chunk = eventOf('request-body-chunk', 'c-1') as BodyChunkEvent
  const data = Buffer.alloc(300_000, 'weir')
  const { outcome } = ask(connection, { ...chunk, data })
  await eventually('the window is used up', () => server.data.length === 1000)
  assert.equal(connection.isWritable, false)
  let granted = 1000
  const grant = (count: number): void => {
    granted += count
    const update = Buffer.alloc(4)
    update.writeUInt32BE(count)
    server.send(h2(8, 0, 1, update))
  }
  grant(7)
  await eventually('seven bytes more', () => server.data.length === granted)
  /* The server takes 6,000 back from the stream, which is 5,000 below nothing then. */
  server.send(h2(4, 0, 0, '000400000000'))
  grant(1000)
  server.send(h2(6, 0, 0, '0909090909090909'))
  await eventually('the server is answered', () =>
    server.frames.some(({ type, flags }) => type === 6 && flags === 1),
  )
  assert.equal(server.data.length, 1007)
  grant(400_000)
  /* The connection's own window ends at 65,535. */
  await eventually('the connection window is used up', () => server.data.length === 65_535)
  server.send(h2(8, 0, 0, '000f4240'))
  await eventually('everything arrived', () => server.data.length >= greeting + 300_000)
  assert.ok(server.data.includes(data))
  for (const { type, payload } of server.frames) assert.ok(type !== 0 || payload.length <= 16_384)
  await eventually('it is writable again', () => connection.isWritable)
  connection.destroy(new WeirError('CANCELLED', 'the test is over'))
  await failureOf(() => outcome)
})

test('what new settings allow leaves behind their acknowledgement, also when room comes in the same chunk', async (t) => {
  for (const [title, settings, maxFrameBytes] of [
    ['a larger window', '000400100000', 16_384],
    ['larger frames', '000500040000', 262_144],
    ['both', '000400100000000500040000', 262_144],
  ] as const) {
    const { connection, server } = await connected(t)
    const before = server.frames.length
    const chunk = eventOf('request-body-chunk', 'c-1') as BodyChunkEvent
    const { outcome } = ask(connection, { ...chunk, data: Buffer.alloc(300_000, 'weir') })
    await eventually('the window is used up', () => server.data.length === 65_535)
    const old = server.frames.length
    server.send(h2(4, 0, 0, settings), h2(8, 0, 0, '000f4240'), h2(8, 0, 1, '000f4240'))
    await eventually('everything arrived', () => server.data.length > 300_000)
    const ack = server.frames.findIndex(({ type, flags }, at) => at >= old && type === 4 && flags === 1)
    assert.equal(ack, old, `${title}: the acknowledgement is the first that leaves`)
    for (const [at, { type, payload }] of server.frames.entries())
      assert.ok(at < before || type !== 0 || payload.length <= (at < ack ? 16_384 : maxFrameBytes))
    connection.destroy(new WeirError('CANCELLED', 'the test is over'))
    await failureOf(() => outcome)
  }
})

test('a server gets room as it sends: megabytes come through windows of four, with few updates', async (t) => {
  const { connection, server, observed } = await connected(t)
  const replies = Buffer.from(ALLOW_C1.repeat(3000), 'hex')
  const total = 12 * 1024 * 1024
  let sent = 0
  const updates = () => server.frames.filter(({ type, stream }) => type === 8 && stream === 1)
  const granted = (): number =>
    updates().reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 4 * 1024 * 1024)
  while (sent < total) {
    await eventually('there is room', () => sent + replies.length <= granted())
    server.send(h2(0, 0, 1, replies))
    sent += replies.length
  }
  await eventually('everything was read', () => observed.strays.length === (sent / replies.length) * 3000)
  assert.equal(connection.isClosed, false)
  assert.ok(updates().length < 8, `${updates().length} window updates`)
  await connection.close()
})

test('a server that goes before it takes the call, or because of an error, is gone', async (t) => {
  for (const goaway of [h2(7, 0, 0, `00000000${'00000000'}`), h2(7, 0, 0, `00000001${'0000000b'}6d6f7265`)]) {
    const { connection, server, observed } = await connected(t)
    const { outcome } = ask(connection, requestHeaders('c-1'))
    server.send(goaway)
    assert.equal((await failureOf(() => soon('the loss', outcome))).code, 'CONNECTION_LOST')
    assert.equal(observed.closed[0]?.code, 'CONNECTION_LOST')
  }
})

test('an announced end is told once, and the call goes on to its own end', async (t) => {
  const { connection, server, observed } = await connected(t)
  const { outcome } = ask(connection, requestHeaders('c1'))
  server.send(h2(7, 0, 0, '7fffffff00000000'), h2(7, 0, 0, '0000000100000000'), h2(0, 0, 1, ALLOW_C1))
  await soon('the reply', outcome)
  assert.equal(observed.retiring, 1)
  server.send(TRAILERS_OK, h2(3, 0, 1, '00000000'))
  await eventually('the end', () => observed.closed.length === 1)
  await eventually('our end of the stream arrived', () =>
    server.frames.some(({ type, flags }) => type === 0 && flags === 1),
  )
  await eventually('a goodbye, in good order', () => server.goawayCode === 0)
  await soon('nothing is left', connection.close())
})

test('whatever a server mixes up, everybody who waits is told and nothing is thrown', async (t) => {
  const frames = [
    SETTINGS,
    RESPONSE,
    acceptedFrame(),
    h2(0, 0, 1, ALLOW_C1),
    h2(8, 0, 1, '00000001'),
    TRAILERS_OK,
  ]
  let seed = 42
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % limit
  }
  for (let round = 0; round < 60; round++) {
    const { connection, server } = await connected(t)
    const { outcome } = ask(connection, requestHeaders('c1'))
    const bytes = Buffer.concat(Array.from({ length: 6 }, () => frames[below(frames.length)]!))
    for (let flips = below(4); flips > 0; flips--) bytes[below(bytes.length)]! ^= 1 + below(255)
    assert.ok(framesIn(bytes).length >= 0)
    server.socket.end(bytes)
    await soon(
      'an outcome',
      outcome.then(
        () => {},
        () => {},
      ),
    )
    await soon('the end', connection.close())
  }
})
