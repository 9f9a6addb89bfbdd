import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { ChannelListener } from '../../src/transport/channel/byte-channel.ts'
import type { ServerCall } from '../../src/transport/grpc/server-call.ts'
import { ServerSession } from '../../src/transport/grpc/server-session.ts'
import { encodeHeaders } from '../../src/transport/h2/hpack-encoder.ts'
import { eventually } from '../support/eventually.ts'
import { h2, SETTINGS } from './support/raw-http2.ts'
import { WindowedPeer } from './support/windowed-peer.ts'

const FIELDS: [string, string][] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/a/b'],
]
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const open = (stream: number): Buffer => h2(1, 4, stream, encodeHeaders(FIELDS))

/** Notes what a call is told. */
class Listener implements ChannelListener {
  readonly told: string[] = []
  kept = 0

  onData(data: Buffer): void {
    this.told.push(`data ${data.toString()}`)
  }

  onEnd(): void {
    this.told.push('end')
  }

  onRetiring(): void {}

  onClosed(reason: WeirError | undefined): void {
    this.told.push(`closed ${reason?.code ?? 'in order'}`)
  }

  keptCount(): number {
    return this.kept
  }
}

/** A session on a real socket; what its calls do is up to the test. */
async function sessionOf(t: TestContext, onCall: (call: ServerCall) => void = () => {}) {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const peer = new WindowedPeer(connect((server.address() as AddressInfo).port, '127.0.0.1'))
  const [socket] = (await once(server, 'connection')) as [Socket]
  const calls: ServerCall[] = []
  const listeners: Listener[] = []
  const session = new ServerSession(socket, 'a client', {
    clock: systemClock,
    onCall: (call) => {
      const listener = new Listener()
      calls[0] = call
      listeners[0] = listener
      call.start(listener)
      onCall(call)
    },
    onSessionClosed: () => {},
  })
  socket.on('data', (chunk: Buffer) => session.onData(chunk))
  t.after(() => {
    peer.socket.destroy()
    socket.destroy()
    server.close()
  })
  peer.send(PREFACE, SETTINGS)
  await eventually('settings', () => session.connection.isGreeted)
  /** The last one opened. */
  const last = (): { call: ServerCall; listener: Listener } => ({ call: calls[0]!, listener: listeners[0]! })
  return { session, peer, last }
}

test('what was kept of one call is never taken for what is kept of the next', async (t) => {
  const { session, last } = await sessionOf(t)
  session.onHeaders(1, FIELDS, false)
  const before = session.keptCount()
  assert.equal(session.keptCount(), before)
  last().listener.kept++
  assert.notEqual(session.keptCount(), before)
  last().call.onLost(new WeirError('CONNECTION_LOST', 'by the test'))
  session.onHeaders(3, FIELDS, false)
  assert.notEqual(session.keptCount(), before)
  session.onHeaders(5, FIELDS, false)
  assert.equal(session.keptCount(), undefined)
})

test('that a call keeps data is seen after millions of calls', async (t) => {
  const failure = new WeirError('CONNECTION_LOST', 'by the test')
  const { session, last } = await sessionOf(t)
  /* As each of them would say when it is over. */
  for (let n = 0; n < 2 ** 21; n++) session.onCallClosed(1)
  for (let stream = 1; stream < 9; stream += 2) {
    session.onHeaders(stream, FIELDS, false)
    const before = session.keptCount()
    last().listener.kept++
    assert.notEqual(session.keptCount(), before)
    last().call.onLost(failure)
  }
})

test('a paused call that the client half closes is told of its data before its end', async (t) => {
  const { peer, last } = await sessionOf(t)
  peer.send(open(1))
  await eventually('the call', () => last().call !== undefined)
  const { call, listener } = last()
  call.pause()
  peer.send(h2(0, 0, 1, Buffer.from('ab')), h2(0, 1, 1, Buffer.from('c')), h2(6, 0, 0, Buffer.alloc(8)))
  await eventually('all of it was read', () => peer.on(0, 6).length === 1)
  assert.deepEqual(listener.told, [])
  call.resume()
  assert.deepEqual(listener.told, ['data abc', 'end'])
  call.pause()
  call.resume()
  assert.deepEqual(listener.told, ['data abc', 'end'])
})

test('a session that ends refuses new calls, and lets the open one go on', async (t) => {
  let calls = 0
  const { session, peer, last } = await sessionOf(t, () => calls++)
  peer.send(open(1))
  await eventually('the call', () => calls === 1)
  session.close()
  peer.send(open(3), h2(0, 0, 1, Buffer.from('more')))
  await eventually('the next is refused', () => peer.on(3, 3).length === 1)
  assert.equal(peer.on(3, 3)[0]!.payload.readUInt32BE(0), 7)
  assert.equal(calls, 1)
  await eventually('the open one is heard', () => last().listener.told.includes('data more'))
})

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
const firstWindow = (bytes: number): Buffer => h2(4, 0, 0, Buffer.concat([Buffer.of(0, 4), uint32(bytes)]))

/** Lets a call say `count` bytes, as far as there is room. */
function say(call: ServerCall, count: number): void {
  call.respond(encodeHeaders([[':status', '200']]))
  call.write(Buffer.alloc(9 + count), () => {})
}

const lengths = (peer: WindowedPeer, stream: number): number[] =>
  peer.on(stream, 0).map(({ payload }) => payload.length)

for (const [title, before, frames] of [
  ['window updates', h2(6, 0, 0, Buffer.alloc(8)), Array(700).fill(h2(8, 0, 0, uint32(1)))],
  [
    'settings',
    h2(8, 0, 0, uint32(1_000_000)),
    Array.from({ length: 700 }, (_, n) => firstWindow(70_001 + n)),
  ],
] as [string, Buffer, Buffer[]][]) {
  test(`the room that ${title} of one read bring is used once for all of them`, async (t) => {
    const { session, peer, last } = await sessionOf(t)
    peer.send(firstWindow(70_000), before, open(1))
    await eventually('the call', () => last().call !== undefined)
    say(last().call, 100_000)
    const sum = (): number => lengths(peer, 1).reduce((all, length) => all + length, 0)
    const first = title === 'settings' ? 70_000 : 65_535
    await eventually('the room is used up', () => sum() === first)
    const count = lengths(peer, 1).length
    session.onData(Buffer.concat(frames))
    await eventually('the rest', () => sum() === first + 700)
    assert.deepEqual(lengths(peer, 1).slice(count), [700])
  })
}

test('the first window changes amid other frames of one read, and each call has the window that came of it', async (t) => {
  const { session, peer, last } = await sessionOf(t)
  session.onData(Buffer.concat([firstWindow(1000), open(1), firstWindow(2000)]))
  say(last().call, 9000)
  /* Legal only behind the change: together they would be more than a window may be. */
  session.onData(Buffer.concat([open(3), firstWindow(0), h2(8, 0, 3, uint32(0x7fff_ffff))]))
  say(last().call, 9000)
  await eventually('the second call has all the room it needs', () => lengths(peer, 3)[0] === 9000)
  assert.deepEqual(lengths(peer, 1), [2000])
  /* The first call's window is 2,000 below zero. */
  session.onData(Buffer.concat([h2(8, 0, 1, uint32(2100)), h2(6, 0, 0, Buffer.alloc(8))]))
  await eventually('the first call goes on', () => peer.on(0, 6).length === 1)
  assert.deepEqual(lengths(peer, 1), [2000, 100])
  session.onData(firstWindow(9001))
  await eventually('a window that grows too large ends the connection', () => peer.isGone)
})
