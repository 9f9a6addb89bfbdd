import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { AgentEvent, BodyChunkEvent } from '../../src/core/event.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import { encodeHeaders } from '../../src/transport/h2/hpack-encoder.ts'
import type { ProxyLink } from '../../src/transport/proxy-link.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { eventOf } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { h2, SETTINGS } from './support/raw-http2.ts'

const PATH = '/zentinel.agent.v2.AgentServiceV2/ProcessStream'

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

/** Every byte of a body piece is the same, told by its id. */
const byteOf = (id: string): number => Number(id.slice(2)) % 251

function isWhole({ correlationId, data }: BodyChunkEvent): boolean {
  return data.every((byte) => byte === byteOf(correlationId))
}

for (const calls of [1, 3]) {
  test(`body data is whole while it is looked at, and what is kept stays whole: ${calls} call(s) of one connection`, async (t) => {
    const agent = new ScriptedAgent()
    const kept: BodyChunkEvent[] = []
    let seen = 0
    agent.answer = (event: AgentEvent, link: ProxyLink) => {
      const chunk = event as BodyChunkEvent
      assert.ok(isWhole(chunk), `${chunk.correlationId} is not whole`)
      seen++
      if (seen % 7 !== 0) return
      kept.push(chunk)
      link.keepData!()
    }
    const listener = await listenGrpc('127.0.0.1:0', { ...agent.options, reusesBodyMemory: true })
    const socket = connect(listener.port, '127.0.0.1')
    socket.on('error', () => {}).resume()
    t.after(async () => {
      socket.destroy()
      await listener.close()
    })
    const headers = encodeHeaders([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', PATH],
      ['content-type', 'application/grpc'],
    ])
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), SETTINGS]))
    for (let n = 0; n < calls; n++)
      socket.write(Buffer.concat([h2(1, 4, 1 + n * 2, headers), h2(0, 0, 1 + n * 2, HELLO)]))
    const sample = eventOf('request-body-chunk', 'c-0') as BodyChunkEvent
    const total = 400
    for (let n = 0; n < total; n++) {
      const data = Buffer.alloc([70_000, 20_000, 300, 30_000][n % 4]!, n % 251)
      const message = bytesOf((codec, out) =>
        codec.writeEvent({ ...sample, correlationId: `c-${n}`, data }, out),
      )
      const stream = 1 + (n % calls) * 2
      /* Some in pieces, so that messages of several calls lie amid each other; others whole, to be handed on in place. */
      const cut = n % 3 === 0 ? (n * 7919) % message.length : message.length
      socket.write(h2(0, 0, stream, message.subarray(0, cut)))
      if (cut < message.length) socket.write(h2(0, 0, stream, message.subarray(cut)))
      if (n % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await eventually('everything was seen', () => seen === total || agent.closed.length > 0)
    assert.equal(seen, total)
    assert.ok(kept.length > 50)
    for (const chunk of kept) assert.ok(isWhole(chunk), `${chunk.correlationId} was written over`)
  })
}
