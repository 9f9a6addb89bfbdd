import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AgentEvent, BodyChunkEvent } from '../../src/core/event.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyMessageSink } from '../../src/wire/codec.ts'
import { udsAgentCodec } from '../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'

function sinkInto(events: AgentEvent[]): ProxyMessageSink {
  const unexpected = (): never => assert.fail('no such message was written')
  return {
    onHandshake: unexpected,
    onRegistrationResponse: unexpected,
    onEvent: (event) => events.push(event),
    onMalformedEvent: (_id, error) => assert.fail(error),
    onCancel: unexpected,
    onPing: unexpected,
  }
}

test('body data written as bin is read byte for byte, wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 70_000 }),
      fc.boolean(),
      fc.constantFrom('request-body-chunk' as const, 'response-body-chunk' as const),
      fc.nat(),
      (data, isLast, kind, cut) => {
        const proxy = udsProxyCodec()
        proxy.useEncoding('msgpack', true)
        const out = new ByteWriter()
        const event: BodyChunkEvent = {
          kind,
          correlationId: 'abcdefgh-001',
          data,
          chunkIndex: 3,
          isLast,
          totalSize: undefined,
          bytesTransferred: data.length,
        }
        proxy.writeEvent(event, out)
        assert.ok(out.end < data.length + 256, 'bin adds no third to the data')
        const agent = udsAgentCodec()
        agent.useEncoding('msgpack')
        const events: AgentEvent[] = []
        const reader = agent.reader(sinkInto(events))
        const bytes = Buffer.from(out.bytes.subarray(0, out.end))
        const at = cut % bytes.length
        reader.push(bytes.subarray(0, at))
        reader.push(bytes.subarray(at))
        reader.end()
        const [read] = events as BodyChunkEvent[]
        assert.equal(events.length, 1)
        assert.deepEqual({ ...read, data: Buffer.from(read!.data) }, { ...event, data: Buffer.from(data) })
      },
    ),
    { numRuns: 200 },
  )
})

test('what was read does not change when the frame it came from is overwritten', () => {
  const proxy = udsProxyCodec()
  proxy.useEncoding('msgpack', true)
  const out = new ByteWriter()
  proxy.writeEvent(
    {
      kind: 'request-body-chunk',
      correlationId: 'abcdefgh-001',
      data: Buffer.from('kept'),
      chunkIndex: 0,
      isLast: true,
      totalSize: 4,
      bytesTransferred: 4,
    },
    out,
  )
  const agent = udsAgentCodec()
  agent.useEncoding('msgpack')
  const events: AgentEvent[] = []
  const frame = Buffer.from(out.bytes.subarray(0, out.end))
  agent.reader(sinkInto(events)).push(frame)
  frame.fill(0)
  assert.equal(Buffer.from((events[0] as BodyChunkEvent).data).toString(), 'kept')
})

test('a peer that did not say that it reads bin gets base64 text', () => {
  const proxy = udsProxyCodec()
  proxy.useEncoding('msgpack')
  const out = new ByteWriter()
  proxy.writeEvent(
    {
      kind: 'request-body-chunk',
      correlationId: 'abcdefgh-001',
      data: Buffer.from([0xff, 0x00]),
      chunkIndex: 0,
      isLast: true,
      totalSize: undefined,
      bytesTransferred: 2,
    },
    out,
  )
  assert.ok(out.bytes.subarray(0, out.end).includes(Buffer.from('/wA=')))
})
