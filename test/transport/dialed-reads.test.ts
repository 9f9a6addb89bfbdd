import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import type { OwnReads } from '../../src/transport/channel/accepted-socket.ts'
import type { ChannelListener } from '../../src/transport/channel/byte-channel.ts'
import { connectSocket } from '../../src/transport/channel/connect-socket.ts'
import { ReadBuffers } from '../../src/transport/channel/read-buffers.ts'
import { SocketChannel } from '../../src/transport/channel/socket-channel.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

test('a dialed channel reads all that comes, from the first byte on, into memory that it shares with others', async (t) => {
  const path = join(await temporaryFolder(t), 'peer.sock')
  const server = createServer((socket) => socket.end('first'))
  t.after(() => server.close())
  server.listen(path)
  await once(server, 'listening')
  const memory = new Set<ArrayBufferLike>()
  for (let n = 0; n < 3; n++) {
    const dial = (onread: OwnReads): Promise<Socket> =>
      connectSocket({ path, onread }, path, AbortSignal.timeout(5000))
    const channel = await SocketChannel.dialed(dial, path, new ReadBuffers(false))
    let text = ''
    const isOver = new Promise<void>((resolve) => {
      const listener: ChannelListener = {
        onData(chunk) {
          memory.add(chunk.buffer)
          text += chunk.toString()
        },
        onEnd: () => channel.end(),
        onRetiring: () => undefined,
        onClosed: () => resolve(),
      }
      channel.start(listener)
    })
    await isOver
    assert.equal(text, 'first')
  }
  assert.equal(memory.size, 1)
})

test('a channel leaves one listener per event on its socket: a second one would take an array', async (t) => {
  const path = join(await temporaryFolder(t), 'peer.sock')
  const server = createServer()
  t.after(() => server.close())
  server.listen(path)
  await once(server, 'listening')
  const socket = await connectSocket({ path }, path, AbortSignal.timeout(5000))
  const channel = new SocketChannel(socket, path)
  channel.start({ onData() {}, onEnd() {}, onRetiring() {}, onClosed() {} })
  t.after(() => channel.destroy())
  for (const event of socket.eventNames()) assert.equal(socket.listenerCount(event), 1, String(event))
})
