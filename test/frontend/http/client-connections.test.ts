import assert from 'node:assert/strict'
import { Agent, request as clientRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { bytesOf, rig } from './rig.ts'

for (const mode of ['stream', 'buffer'] as const) {
  test(`responses that agents read keep the connection of their client (${mode})`, async (t) => {
    const to = await rig(t, {
      upstream: (_, response) => response.end(Buffer.alloc(200_000)),
      chain: {
        wants: ['response-body-chunk'],
        responseBody: { mode, maxBytes: 1 << 20, onTooLarge: 'reject' },
      },
      script: (event) =>
        'isLast' in event && event.isLast
          ? { bodyMutation: { data: Buffer.from('end'), chunkIndex: event.chunkIndex } }
          : undefined,
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const ports = new Set<number | undefined>()
    for (let n = 0; n < 3; n++) {
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        clientRequest({ port: to.port, host: '127.0.0.1', agent }, resolve).on('error', reject).end()
      })
      ports.add(response.socket.localPort)
      assert.ok((await bytesOf(response)).toString('latin1').endsWith('end'))
    }
    assert.equal(ports.size, 1, 'all requests came over one connection')
  })
}
