import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Connection, HandshakeOptions } from '../../src/transport/connection.ts'
import { type UdsDialerOptions, udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { ask, failureOf, Observed, soon } from '../conformance/support/observed.ts'
import { requestHeaders } from '../conformance/support/sample-events.ts'
import { HANDSHAKE, never } from '../conformance/support/transports.ts'
import { eventually } from '../support/eventually.ts'
import { ACCEPTED, allow, CAPABILITIES, frame, rawServer } from './support/raw-peer.ts'

function dial(path: string, options: Partial<HandshakeOptions> = {}, uds: UdsDialerOptions = {}) {
  return udsDialer(path, { ...HANDSHAKE, ...options }, uds).dial(never())
}

/** A connection to an agent that answers the handshake and then does `behave`. */
async function connected(t: TestContext, behave: (socket: Socket) => void): Promise<Connection> {
  const path = await rawServer(t, (socket) => {
    socket.once('data', () => {
      socket.write(ACCEPTED)
      behave(socket)
    })
  })
  return dial(path)
}

test('nobody listening is told as unavailable, and nothing was sent', async () => {
  const error = await failureOf(() => dial('/nonexistent/agent.sock'))
  assert.equal(error.code, 'UNAVAILABLE')
  assert.equal(error.sent, false)
  assert.match(error.message, /agent\.sock/)
})

test('a silent agent fails the dial on time and is hung up on', async (t) => {
  let isGone = false
  const path = await rawServer(t, (socket) => socket.resume().once('end', () => (isGone = true)))
  const started = performance.now()
  const error = await failureOf(() => dial(path, { connectTimeoutMs: 200 }))
  assert.equal(error.code, 'TIMEOUT')
  assert.ok(performance.now() - started < 4000)
  await eventually('the socket is closed', () => isGone)
})

test('an agent that drips its handshake byte by byte does not gain time', async (t) => {
  const path = await rawServer(t, (socket) => {
    let at = 0
    const timer = setInterval(() => {
      if (at < ACCEPTED.length && !socket.destroyed) socket.write(ACCEPTED.subarray(at, ++at))
      else clearInterval(timer)
    }, 20)
    socket.once('close', () => clearInterval(timer))
    socket.resume()
  })
  assert.equal(
    (await failureOf(() => soon('the failure', dial(path, { connectTimeoutMs: 200 })))).code,
    'TIMEOUT',
  )
})

test('a handshake split at every byte is understood', async (t) => {
  const path = await rawServer(t, (socket) => {
    socket.setNoDelay(true)
    void (async () => {
      for (const byte of ACCEPTED) await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve))
    })()
  })
  const connection = await dial(path)
  assert.equal(connection.capabilities.agentId, 'raw')
  assert.deepEqual(connection.capabilities.supportedEvents, ['request-headers', 'configure'])
  await connection.close()
})

const REFUSALS: readonly [title: string, answer: Buffer, code: string, message: RegExp][] = [
  [
    'an agent that refuses is quoted',
    frame(0x02, { protocol_version: 0, capabilities: CAPABILITIES, success: false, error: 'go away' }),
    'PERMISSION_DENIED',
    /go away/,
  ],
  ['a reply before the handshake is refused', allow('c-1'), 'PROTOCOL_ERROR', /before its handshake/],
  ['a registration instead of a handshake is refused', frame(0x01, registration()), 'PROTOCOL_ERROR', /turn/],
  ['a handshake that is not JSON is refused', frame(0x02, Buffer.from('{oops')), 'PROTOCOL_ERROR', /./],
  ['a frame of length 0 is refused', Buffer.alloc(4), 'PROTOCOL_ERROR', /length 0/],
  ['a huge handshake is refused at its length', Buffer.from([0, 2, 0, 0, 2]), 'PROTOCOL_ERROR', /65536/],
  ['an agent of HTTP is refused', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'PROTOCOL_ERROR', /./],
]

async function assertRefused(t: TestContext, answer: Buffer, code: string, message: RegExp): Promise<void> {
  let isGone = false
  const path = await rawServer(t, (socket) => {
    socket.resume().once('end', () => (isGone = true))
    socket.write(answer)
  })
  const error = await failureOf(() => dial(path))
  assert.equal(error.code, code)
  assert.match(error.message, message)
  await eventually('the socket is closed', () => isGone)
}

for (const [title, answer, code, message] of REFUSALS)
  test(title, (t) => assertRefused(t, answer, code, message))

test('an agent that chooses a version or an encoding that was not offered is refused', async (t) => {
  const answer = { protocol_version: 2, capabilities: CAPABILITIES, success: true }
  const version = frame(0x02, { ...answer, protocol_version: 3 })
  await assertRefused(t, version, 'PROTOCOL_ERROR', /version 3/)
  await assertRefused(t, frame(0x02, { ...answer, encoding: 'msgpack' }), 'PROTOCOL_ERROR', /msgpack/)
})

test('an agent that hangs up before or inside its handshake is unavailable or broken', async (t) => {
  const early = await rawServer(t, (socket) => socket.destroy())
  assert.equal((await failureOf(() => dial(early))).code, 'UNAVAILABLE')
  const orderly = await rawServer(t, (socket) => socket.resume().end())
  assert.equal((await failureOf(() => dial(orderly))).code, 'UNAVAILABLE')
  const inside = await rawServer(t, (socket) => socket.resume().end(ACCEPTED.subarray(0, 20)))
  assert.equal((await failureOf(() => dial(inside))).code, 'PROTOCOL_ERROR')
})

test('an unknown frame type is skipped', async (t) => {
  const connection = await connected(t, (socket) => {
    socket.write(frame(0x77, Buffer.from('whatever')))
    socket.on('data', () => socket.write(allow('c-1')))
  })
  await soon('the reply', ask(connection, requestHeaders('c-1')).outcome)
  await connection.close()
})

for (const [title, garbage] of [
  ['a frame of length 0', Buffer.alloc(4)],
  ['a frame longer than any may be', Buffer.from([1, 0, 0, 1, 0x20])],
  ['a second handshake', ACCEPTED],
] as const) {
  test(`${title} ends the connection and fails what waits`, async (t) => {
    const connection = await connected(t, (socket) => {
      socket.once('data', () => socket.write(garbage))
    })
    const observed = new Observed()
    connection.observe(observed)
    const asked = [ask(connection, requestHeaders('c-1')), ask(connection, requestHeaders('c-2'))]
    for (const { outcome } of asked) {
      const error = await failureOf(() => soon('the loss', outcome))
      assert.equal(error.code, 'CONNECTION_LOST')
      assert.equal(error.sent, true)
    }
    assert.equal(observed.closed.length, 1)
    assert.match(observed.closed[0]!.code, /PROTOCOL_ERROR|TOO_LARGE/)
    await soon('the end', connection.close())
  })
}

test('an agent that dies inside a reply fails what waits', async (t) => {
  const connection = await connected(t, (socket) => {
    socket.once('data', () => socket.end(allow('c-1').subarray(0, 12)))
  })
  const observed = new Observed()
  connection.observe(observed)
  const error = await failureOf(() => soon('the loss', ask(connection, requestHeaders('c-1')).outcome))
  assert.equal(error.code, 'CONNECTION_LOST')
  assert.equal(observed.closed[0]?.code, 'PROTOCOL_ERROR')
})

test('a reply that cannot be used fails its event alone', async (t) => {
  const connection = await connected(t, (socket) => {
    socket.once('data', () => {
      const custom = { correlation_id: 'c-1' }
      socket.write(frame(0x20, { version: 2, decision: { block: { status: 70000 } }, audit: { custom } }))
      socket.write(allow('c-2'))
    })
  })
  const [bad, good] = [ask(connection, requestHeaders('c-1')), ask(connection, requestHeaders('c-2'))]
  assert.equal((await failureOf(() => soon('the failure', bad.outcome))).code, 'PROTOCOL_ERROR')
  await soon('the other reply', good.outcome)
  await connection.close()
})

test('control messages that do not decode are reported and skipped', async (t) => {
  const connection = await connected(t, (socket) => {
    socket.write(frame(0x30, { state: 'on fire' }))
    socket.write(frame(0x33, Buffer.from('no json')))
    socket.write(frame(0x33, { action: 1, timestamp_ms: 1 }))
  })
  const observed = new Observed()
  connection.observe(observed)
  await eventually('the flow signal arrives', () => observed.flow.length === 1)
  assert.equal(observed.health.length, 0)
  assert.equal(observed.logs.length, 2)
  await connection.close()
})

test('an agent that reads nothing makes the connection unwritable, and closing it stays bounded', async (t) => {
  let stuck: Socket | undefined
  const connection = await connected(t, (socket) => {
    stuck = socket
    socket.pause()
  })
  await eventually('the agent stopped reading', () => stuck !== undefined)
  const observed = new Observed()
  connection.observe(observed)
  const big = { ...requestHeaders('c-1'), headers: ['x', 'y'.repeat(100_000)] }
  let count = 0
  while (connection.isWritable && count < 200) {
    ask(connection, { ...big, correlationId: `c-${count++}` })
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(connection.isWritable, false)
  assert.equal(observed.writable, 0)
  connection.cancel('c-1', 'timeout')
  assert.equal((await failureOf(() => connection.ping(50))).code, 'TIMEOUT')
  stuck!.resume()
  await eventually('the connection is writable again', () => observed.writable === 1 && connection.isWritable)
  stuck!.pause()
  while (connection.isWritable) {
    ask(connection, { ...big, correlationId: `c-${count++}` })
    await new Promise((resolve) => setImmediate(resolve))
  }
  await soon('the close', connection.close(), 4000)
  assert.equal(connection.pendingCount, 0)
})

test('an agent that only ends its own direction is closed in both', async (t) => {
  let hasSeenEnd = false
  const connection = await connected(t, (socket) => {
    socket.once('end', () => (hasSeenEnd = true))
    socket.resume().end()
  })
  const observed = new Observed()
  connection.observe(observed)
  await eventually('the connection is closed', () => observed.closed.length === 1)
  await eventually('our direction ended too', () => hasSeenEnd)
  await soon('the end', connection.close())
})

function registration(): unknown {
  return { protocol_version: 2, agent_id: 'x', capabilities: CAPABILITIES, auth_token: null }
}
