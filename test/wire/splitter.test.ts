import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { WeirError } from '../../src/core/errors.ts'
import type { ByteWriter } from '../../src/wire/byte-writer.ts'
import { grpcAgentCodec } from '../../src/wire/grpc/agent-codec.ts'
import { udsAgentCodec } from '../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'
import * as arbitrary from './support/arbitraries.ts'
import { agentHears, PAIRS, proxyHears, written } from './support/codecs.ts'
import { recordingProxySink } from './support/recording-sink.ts'

const code =
  (wanted: string) =>
  (thrown: unknown): boolean =>
    thrown instanceof WeirError && thrown.code === wanted

const head = (length: number, ...rest: number[]): Buffer => {
  const bytes = Buffer.alloc(4 + rest.length)
  bytes.writeUInt32BE(length)
  Buffer.from(rest).copy(bytes, 4)
  return bytes
}

for (const pair of PAIRS) {
  test(`over ${pair.name}, events read the same however the stream is cut`, () => {
    fc.assert(
      fc.property(
        fc.array(arbitrary.agentEvent(), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(4000), { maxLength: 30 }),
        (events, cuts) => {
          const proxy = pair.proxy()
          const bytes = written((out) => {
            for (const event of events) proxy.writeEvent(event, out)
          })
          const whole = agentHears(pair.agent(), bytes)
          assert.equal(whole.length, events.length)
          assert.deepEqual(agentHears(pair.agent(), bytes, cuts), whole)
        },
      ),
      { numRuns: 150 },
    )
  })

  test(`over ${pair.name}, replies read the same byte by byte`, () => {
    fc.assert(
      fc.property(fc.array(arbitrary.agentReply(), { minLength: 1, maxLength: 3 }), (replies) => {
        const agent = pair.agent()
        const bytes = written((out) => {
          for (const reply of replies) agent.writeReply(reply, out)
        })
        const everywhere = Array.from({ length: bytes.length }, (_, at) => at)
        const whole = proxyHears(pair.proxy(), bytes)
        assert.equal(whole.length, replies.length)
        assert.deepEqual(proxyHears(pair.proxy(), bytes, everywhere), whole)
      }),
      { numRuns: 40 },
    )
  })

  test(`over ${pair.name}, a stream that ends inside a frame is an error, on a boundary it is none`, () => {
    const bytes = written((out) => pair.proxy().writeCancel('c1', 'timeout', 1, out))
    for (let length = 1; length < bytes.length; length++) {
      assert.throws(() => agentHears(pair.agent(), bytes.subarray(0, length)), code('PROTOCOL_ERROR'))
    }
    assert.equal(agentHears(pair.agent(), bytes).length, 1)
  })
}

test('a frame of length 0 is an error as soon as its length is known', () => {
  const reader = udsAgentCodec().reader(recordingProxySink().sink)
  reader.push(Buffer.from([0, 0]))
  assert.throws(() => reader.push(Buffer.from([0, 0])), code('PROTOCOL_ERROR'))
  assert.throws(() => reader.push(Buffer.from([0])), code('PROTOCOL_ERROR'))
})

test('a length of 16,777,216 is accepted, one more is refused before anything else arrives', () => {
  const { sink } = recordingProxySink()
  const reader = udsAgentCodec().reader(sink)
  reader.push(head(16_777_216, 0x99))
  assert.equal(reader.bufferedBytes, 5)
  assert.throws(() => udsAgentCodec().reader(sink).push(head(16_777_217)), code('TOO_LARGE'))
})

test('a smaller limit counts from the next frame on, and can be raised again', () => {
  const { sink, told } = recordingProxySink()
  const reader = udsAgentCodec({ maxPayloadBytes: 64 }).reader(sink)
  const frame = (payload: string): Buffer =>
    Buffer.concat([head(payload.length + 1, 0x41), Buffer.from(payload)])
  reader.push(frame('x'.repeat(64)))
  assert.throws(
    () =>
      udsAgentCodec({ maxPayloadBytes: 64 })
        .reader(sink)
        .push(frame('x'.repeat(65))),
    code('TOO_LARGE'),
  )
  reader.setMaxPayloadBytes(1000)
  reader.push(frame('x'.repeat(1000)))
  assert.equal(told.length, 2)
})

test('announced frames cost no memory before their data arrives', () => {
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 100 }, () => {
    const reader = udsAgentCodec().reader(recordingProxySink().sink)
    reader.push(head(16_000_000, 0x10, 1, 2, 3))
    return reader
  })
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(grown < 10_000_000, `${grown} bytes for 100 announced frames of 16 MB`)
  assert.equal(readers[0]!.bufferedBytes, 8)
})

test('a large frame in small chunks arrives whole', () => {
  const event = {
    kind: 'request-body-chunk',
    correlationId: 'c1',
    data: Buffer.alloc(6_000_000, 'weir'),
    isLast: true,
    totalSize: undefined,
    chunkIndex: 0,
    bytesTransferred: 6_000_000,
  } as const
  const bytes = written((out) => udsProxyCodec().writeEvent(event, out))
  const cuts = Array.from({ length: Math.floor(bytes.length / 1000) }, (_, n) => n * 1000)
  assert.deepEqual(agentHears(udsAgentCodec(), bytes, cuts), [['event', event]])
})

test('unknown frame types and those of the other direction are skipped by their length', () => {
  const proxy = udsProxyCodec()
  const agent = udsAgentCodec()
  const cancel = written((out) => proxy.writeCancel('c1', 'manual', 1, out))
  const stranger = head(4, 0x99, 1, 2, 3)
  const health = written((out) => agent.writeHealth({ agentId: 'a', state: 'healthy', timestampMs: 1 }, out))
  assert.deepEqual(agentHears(agent, Buffer.concat([stranger, health, cancel])), [['cancel', 'c1', 'manual']])
  const [told, ...rest] = proxyHears(proxy, Buffer.concat([stranger, cancel, health]))
  assert.equal(told![0], 'health')
  assert.deepEqual(rest, [])
})

test('a compressed gRPC message is an error, and one over the limit is refused by its prefix', () => {
  const { sink } = recordingProxySink()
  assert.throws(
    () =>
      grpcAgentCodec()
        .reader(sink)
        .push(Buffer.from([1, 0, 0, 0, 0])),
    code('PROTOCOL_ERROR'),
  )
  const reader = grpcAgentCodec().reader(sink)
  reader.push(Buffer.concat([Buffer.from([0]), head(10 * 1024 * 1024)]))
  assert.throws(
    () =>
      grpcAgentCodec()
        .reader(sink)
        .push(Buffer.concat([Buffer.from([0]), head(11 * 1024 * 1024)])),
    code('TOO_LARGE'),
  )
})

test('what is too large to send throws, nothing is written, and the writer goes on', () => {
  const chunk = (size: number) =>
    ({
      kind: 'request-body-chunk',
      correlationId: 'c1',
      data: Buffer.alloc(size),
      isLast: true,
      chunkIndex: 0,
      bytesTransferred: size,
    }) as const
  const unsent = (thrown: unknown): boolean =>
    thrown instanceof WeirError && thrown.code === 'TOO_LARGE' && !thrown.sent
  for (const pair of PAIRS) {
    const limit = pair.name === 'grpc' ? 4 * 1024 * 1024 : 16_777_215
    const bytes = written((out: ByteWriter) => {
      pair.proxy().writePing(1, 1, out)
      const { end } = out
      assert.throws(() => pair.proxy().writeEvent(chunk(limit), out), unsent)
      assert.equal(out.end, end)
      pair.proxy().writePing(2, 1, out)
    })
    assert.equal(agentHears(pair.agent(), bytes).length, 2)
  }
})

test('the largest frame that is written is the largest that is read, to the byte', () => {
  const frameOf = (dataBytes: number): Buffer => {
    const proxy = udsProxyCodec()
    proxy.useEncoding('msgpack', true)
    return written((out) =>
      proxy.writeEvent(
        {
          kind: 'request-body-chunk',
          correlationId: 'c1',
          data: Buffer.alloc(dataBytes),
          isLast: true,
          chunkIndex: 0,
          bytesTransferred: 70_000,
        },
        out,
      ),
    )
  }
  const around = frameOf(70_000).length - 70_000
  const largest = frameOf(4 + 16_777_216 - around)
  assert.equal(largest.readUInt32BE(0), 16_777_216)
  const agent = udsAgentCodec()
  agent.useEncoding('msgpack')
  assert.equal(agentHears(agent, largest)[0]![0], 'event')
  assert.throws(() => frameOf(4 + 16_777_217 - around), code('TOO_LARGE'))
})
