import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ChannelListener } from '../../src/transport/channel/byte-channel.ts'
import { ClientCall } from '../../src/transport/grpc/client-call.ts'
import { eventually } from '../support/eventually.ts'
import {
  h2,
  type RawClientOfOurs,
  RESPONSE,
  rawHttp2Server,
  SETTINGS,
  TRAILERS_OK,
} from './support/raw-http2.ts'

/** `grpc-status: 7`, `grpc-message: no`, and the end of the stream. */
const TRAILERS_DENIED = h2(
  1,
  5,
  1,
  `000b${Buffer.from('grpc-status').toString('hex')}0137000c${Buffer.from('grpc-message').toString('hex')}026e6f`,
)

/** What one call told its owner, in order. */
class Owner implements ChannelListener {
  readonly told: string[] = []
  onEachData: () => void = () => {}

  onData(chunk: Buffer): void {
    this.told.push(`data ${chunk.toString()}`)
    this.onEachData()
  }
  onEnd(reason: Error | undefined): void {
    this.told.push(`end ${reason?.message}`)
  }
  onRetiring(): void {
    this.told.push('retiring')
  }
  onClosed(failure: Error | undefined): void {
    this.told.push(`closed ${failure?.message}`)
  }
}

async function called(t: TestContext, ...greeting: Buffer[]) {
  const { target, clients } = await rawHttp2Server(t, (client) => client.send(...greeting))
  const socket = connect(Number(new URL(target).port), '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const fields = [
    [':method', 'POST'],
    [':path', '/x'],
  ] as const
  const call = new ClientCall(socket, fields, 'agent')
  const owner = new Owner()
  call.start(owner)
  await eventually('our settings were taken', () => acks(clients[0]) === 1)
  return { call, owner, server: clients[0]! }
}

const acks = (server: RawClientOfOurs | undefined): number =>
  server?.frames.filter(({ type, flags }) => type === 4 && flags === 1).length ?? 0

for (const [title, greeting, room] of [
  ['of the stream', h2(4, 0, 0, '000400000000'), h2(8, 0, 1, '00001000')],
  ['of its settings', h2(4, 0, 0, '000400000000'), h2(4, 0, 0, '000400001000')],
  ['of the connection', h2(4, 0, 0, '000400100000'), h2(8, 0, 0, '00001000')],
] as const) {
  test(`a call is over once its last bytes, which waited for room ${title}, have left`, async (t) => {
    const { call, owner, server } = await called(t, greeting, RESPONSE)
    call.write(Buffer.alloc(9 + 66_000), () => {})
    call.end()
    server.send(TRAILERS_OK)
    await eventually('the end is told', () => owner.told.length === 1)
    if (title !== 'of the connection') server.send(h2(8, 0, 0, '00001000'))
    server.send(room)
    if (title !== 'of the connection') server.send(h2(8, 0, 1, '00100000'))
    await eventually('the connection is closed', () => server.isGone && owner.told.length > 1)
    assert.equal(server.data.length, 66_000)
    assert.equal(server.goawayCode, 0)
    assert.deepEqual(owner.told, ['end undefined', 'closed undefined'])
  })
}

test('a status that came while the owner had paused is told when the connection closes', async (t) => {
  const { call, owner, server } = await called(t, SETTINGS, RESPONSE)
  call.pause()
  server.send(TRAILERS_DENIED)
  server.socket.end()
  await eventually('the end', () => owner.told.length === 2)
  assert.deepEqual(owner.told, ['end agent ended the call with gRPC status 7: no', 'closed undefined'])
})

test('an owner that pauses and resumes while it is told what was kept hears of the end behind that', async (t) => {
  const { call, owner, server } = await called(t, SETTINGS, RESPONSE)
  call.pause()
  const pong = h2(6, 0, 0, '0102030405060708')
  server.send(h2(0, 0, 1, Buffer.from('kept')), TRAILERS_OK, pong)
  await eventually('it was read', () => server.frames.some(({ type, flags }) => type === 6 && flags === 1))
  owner.onEachData = () => {
    call.pause()
    call.resume()
    owner.told.push('data done')
  }
  call.resume()
  assert.deepEqual(owner.told, ['data kept', 'data done', 'end undefined'])
})

test('what a server says with its goodbye is in the error, printable and not all of it', async (t) => {
  const { owner, server } = await called(t, SETTINGS, RESPONSE)
  const text = Buffer.from(`too_many_pings\n${'x'.repeat(5000)}`)
  server.send(h2(7, 0, 0, Buffer.concat([Buffer.from('000000010000000b', 'hex'), text])))
  await eventually('the end', () => owner.told.length === 1)
  assert.match(owner.told[0]!, /HTTP\/2 code 11: too_many_pings\?x{113}$/)
})
