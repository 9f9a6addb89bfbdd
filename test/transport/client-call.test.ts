import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ChannelListener } from '../../src/transport/channel/byte-channel.ts'
import { ClientCall } from '../../src/transport/grpc/client-call.ts'
import { eventually } from '../support/eventually.ts'
import { h2, type RawClientOfOurs, RESPONSE, rawHttp2Server, TRAILERS_OK } from './support/raw-http2.ts'

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
    await eventually('the connection is closed', () => server.isGone)
    assert.equal(server.data.length, 66_000)
    assert.equal(server.goawayCode, 0)
    assert.deepEqual(owner.told, ['end undefined', 'closed undefined'])
  })
}
