import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import { reply } from '../../src/core/reply.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import { DataInlet } from '../../src/transport/h2/data-inlet.ts'
import { encodeHeaders } from '../../src/transport/h2/hpack-encoder.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcAgentCodec } from '../../src/wire/grpc/agent-codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { ask, Observed, soon } from '../conformance/support/observed.ts'
import { eventOf, requestHeaders } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { HANDSHAKE, never } from '../conformance/support/transports.ts'
import { eventually } from '../support/eventually.ts'
import { acceptedFrame, h2, RESPONSE, SETTINGS } from './support/raw-http2.ts'
import { WindowedPeer } from './support/windowed-peer.ts'

const MIB = 1024 * 1024
const SESSION_WINDOW = 16 * MIB
const STREAM_WINDOW = 4 * MIB
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const CALL = encodeHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/zentinel.agent.v2.AgentServiceV2/ProcessStream'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
])
/** No reply leaves until the client gives its streams room. */
const NO_ROOM = h2(4, 0, 0, '000400000000')

function bytesOf(write: (codec: ProxyCodec, out: ByteWriter) => void): Buffer {
  const out = new ByteWriter()
  write(grpcProxyCodec(), out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

const HELLO = bytesOf((codec, out) =>
  codec.writeHandshake(
    { supportedVersions: [2], proxyId: 'raw', proxyVersion: '1', config: undefined, supportedEncodings: [] },
    out,
  ),
)
const asked = (id: string): Buffer => bytesOf((codec, out) => codec.writeEvent(requestHeaders(id), out))
const streamOf = (call: number): number => 1 + call * 2

async function client(t: TestContext, agent: ScriptedAgent, settings: Buffer): Promise<WindowedPeer> {
  const listener = await listenGrpc('127.0.0.1:0', agent.options)
  const peer = new WindowedPeer(connect(listener.port, '127.0.0.1'))
  t.after(async () => {
    peer.socket.destroy()
    await listener.close()
  })
  peer.send(PREFACE, settings)
  await eventually('the windows are open', () => peer.room === SESSION_WINDOW)
  return peer
}

/** As `client`, with calls that are not read, because the replies to what they asked are not taken. */
async function paused(t: TestContext, calls: number): Promise<{ peer: WindowedPeer; agent: ScriptedAgent }> {
  const agent = new ScriptedAgent()
  const body = 'x'.repeat(150_000)
  agent.answer = (event, link) => link.reply(reply(event.correlationId, { kind: 'block', status: 403, body }))
  const peer = await client(t, agent, NO_ROOM)
  for (let call = 0; call < calls; call++) {
    peer.send(h2(1, 4, streamOf(call), CALL))
    await peer.sendData(streamOf(call), HELLO)
    for (let n = 0; n < 3; n++) await peer.sendData(streamOf(call), asked(`c-${call}-${n}`))
  }
  await eventually(
    'no call is read',
    () => agent.links.length === calls && agent.links.every((link) => !link.isWritable),
  )
  return { peer, agent }
}

/** Fills the windows of the calls, until nothing more may be sent. */
async function fill(peer: WindowedPeer, calls: number, data: Buffer): Promise<void> {
  for (let call = 0; call < calls; call++) {
    const stream = streamOf(call)
    while (peer.room > 0 && peer.roomOn(stream) > 0)
      await peer.sendData(stream, data.subarray(0, Math.min(16_000, peer.room, peer.roomOn(stream))))
  }
}

test('what the calls of one connection keep unread is bounded by its window, whatever their number', async (t) => {
  const { peer } = await paused(t, 30)
  /* Room for what was read before the calls paused comes back once. */
  for (let round = 1; round <= 4; round++) {
    await fill(peer, 30, Buffer.alloc(16_000))
    /* A ping is answered behind everything that was sent, window updates included. */
    peer.send(h2(6, 0, 0, '0102030405060708'))
    await eventually('everything was read', () => peer.on(0, 6).length === round)
  }
  assert.ok(peer.sentBytes < SESSION_WINDOW + 100_000, `${peer.sentBytes} bytes were let in`)
  assert.equal(peer.room, 0)
  assert.equal(peer.isGone, false)
  /* One byte beyond, on a call that has room of its own. */
  assert.equal(peer.roomOn(streamOf(29)) > 0, true)
  peer.send(h2(0, 0, streamOf(29), '00'))
  await eventually('it is dropped', () => peer.isGone)
  assert.equal(peer.goawayCode, 3)
})

test('a call that is reset gives back what it kept; those that go on are read, and give it back too', async (t) => {
  const { peer, agent } = await paused(t, 4)
  const filler = bytesOf((codec, out) =>
    codec.writeEvent(
      { ...(eventOf('request-body-chunk', 'c-x') as BodyChunkEvent), data: Buffer.alloc(15_000) },
      out,
    ),
  )
  agent.answer = () => {}
  const whole = Buffer.concat(Array(Math.floor(STREAM_WINDOW / filler.length) - 2).fill(filler))
  for (let call = 0; call < 4; call++) await peer.sendData(streamOf(call), whole)
  assert.ok(peer.room < MIB)
  peer.send(h2(3, 0, streamOf(0), '00000008'))
  await eventually('the one that was reset', () => peer.room > whole.length)
  const seen = agent.events.length
  peer.send(h2(8, 0, 0, '00400000'))
  for (const call of [1, 2, 3]) peer.send(h2(8, 0, streamOf(call), '00100000'))
  await eventually('those that go on are read', () => agent.events.length > seen + 600)
  await eventually('the room is back', () => peer.room > SESSION_WINDOW / 2)
  assert.equal(peer.isGone, false)
})

test('a stream keeps its data in no more memory than its window', () => {
  const inlet = new DataInlet(STREAM_WINDOW)
  inlet.pause()
  for (let n = 0; n < 3; n++) inlet.passes(Buffer.alloc(9000))
  inlet.drop()
  for (let n = 0; n < 64; n++) {
    inlet.passes(Buffer.alloc(STREAM_WINDOW / 64 - 60_000, n))
    inlet.passes(Buffer.alloc(60_000, n))
  }
  const kept = inlet.resume()!
  assert.equal(kept.length, STREAM_WINDOW)
  assert.equal(kept.buffer.byteLength, STREAM_WINDOW)
  for (let n = 0; n < 64; n++) assert.equal(kept[(n * STREAM_WINDOW) / 64 + 7], n)
})

test('40 MiB with padding come in over several calls of one client, each within its windows', async (t) => {
  const agent = new ScriptedAgent()
  let bytes = 0
  agent.answer = (event) => (bytes += (event as BodyChunkEvent).data.length)
  const peer = await client(t, agent, SETTINGS)
  const sample = eventOf('request-body-chunk', 'c-1') as BodyChunkEvent
  const data = Buffer.alloc(256 * 1024, 'weir')
  const message = bytesOf((codec, out) => codec.writeEvent({ ...sample, data }, out))
  for (let call = 0; call < 4; call++) {
    peer.send(h2(1, 4, streamOf(call), CALL))
    await peer.sendData(streamOf(call), HELLO)
  }
  for (let n = 0; n < 160; n++) await peer.sendData(streamOf(n % 4), message, 255)
  await eventually('all of it', () => bytes === 40 * MIB)
  assert.ok(peer.sentBytes > 40 * MIB)
  assert.equal(peer.isGone, false)
})

test('40 MiB with padding come in from a server that keeps to our windows', async (t) => {
  const peers: WindowedPeer[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    const peer = new WindowedPeer(socket, PREFACE.length)
    peers.push(peer)
    peer.send(SETTINGS, RESPONSE, acceptedFrame())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const connection = await grpcDialer(`grpc://127.0.0.1:${port}`, HANDSHAKE).dial(never())
  const observed = new Observed()
  connection.observe(observed)
  const { outcome } = ask(connection, requestHeaders('c-last'))
  const peer = peers[0]!
  await eventually('the event', () => peer.on(1, 0).length > 1)
  const out = new ByteWriter()
  const body = 'weir'.repeat(64 * 1024)
  grpcAgentCodec().writeReply(reply('c-gone', { kind: 'block', status: 403, body }), out)
  const message = Buffer.from(out.bytes.subarray(0, out.end))
  for (let n = 0; n < 160; n++) await peer.sendData(1, message, 255)
  const last = new ByteWriter()
  grpcAgentCodec().writeReply(reply('c-last', { kind: 'block', status: 418, body }), last)
  await peer.sendData(1, Buffer.from(last.bytes.subarray(0, last.end)), 255)
  const answered = await soon('the last reply', outcome)
  assert.deepEqual(answered.decision, { ...answered.decision, kind: 'block', status: 418 })
  assert.ok(peer.sentBytes > 40 * MIB)
  assert.deepEqual(observed.closed, [])
})
