import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import { ATTACHED_BYTES, ByteWriter } from '../../src/wire/byte-writer.ts'
import type { ProxyCodec } from '../../src/wire/codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'

function rawMsgpack(): ProxyCodec {
  const codec = udsProxyCodec({ maxSendBytes: 3_000_000 })
  codec.useEncoding('msgpack', true)
  return codec
}

const clock = { now: () => 0, wallMs: () => 1_700_000_000_000, setTimer: () => assert.fail() }
const CODECS: Readonly<Record<string, () => ProxyCodec>> = {
  'MessagePack with raw bodies': rawMsgpack,
  gRPC: () => grpcProxyCodec({ maxSendBytes: 3_000_000 }, clock),
}

function chunk(data: Uint8Array): BodyChunkEvent {
  return {
    kind: 'request-body-chunk',
    correlationId: 'abcdefgh-001',
    data,
    chunkIndex: 1,
    isLast: false,
    bytesTransferred: data.length,
  }
}

/* Around the size that is attached, and around the sizes at which a varint takes one byte more. */
const size = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: ATTACHED_BYTES - 60, max: ATTACHED_BYTES + 60 }),
  fc.integer({ min: 2 ** 21 - 80, max: 2 ** 21 + 20 }),
)

for (const [name, codec] of Object.entries(CODECS)) {
  test(`${name}: data that is handed over by reference leaves as the same bytes as data that is copied`, () => {
    fc.assert(
      fc.property(fc.array(size, { minLength: 1, maxLength: 4 }), (sizes) => {
        const copying = new ByteWriter()
        const attaching = new ByteWriter(16, true)
        const proxy = codec()
        for (const [n, length] of sizes.entries()) {
          const event = chunk(Buffer.alloc(length, n + 1))
          proxy.writeEvent(event, copying)
          proxy.writeEvent(event, attaching)
        }
        const whole = Buffer.concat(attaching.parts())
        assert.equal(attaching.size, whole.length)
        assert.ok(whole.equals(copying.bytes.subarray(0, copying.end)))
        assert.equal(
          attaching.attachedBytes,
          sizes.reduce((sum, length) => sum + (length >= ATTACHED_BYTES ? length : 0), 0),
        )
      }),
      { numRuns: 60 },
    )
  })

  test(`${name}: an event that cannot be written leaves nothing attached, and what stood before is whole`, () => {
    const out = new ByteWriter(16, true)
    const proxy = codec()
    proxy.writeEvent(chunk(Buffer.alloc(ATTACHED_BYTES)), out)
    const before = Buffer.concat(out.parts())
    assert.throws(() => proxy.writeEvent(chunk(Buffer.alloc(3_000_000 - 20)), out), { code: 'TOO_LARGE' })
    assert.ok(Buffer.concat(out.parts()).equals(before))
    assert.equal(out.size, before.length)
  })
}

test('large data is not copied', () => {
  const data = Buffer.alloc(ATTACHED_BYTES)
  const out = new ByteWriter(16, true)
  rawMsgpack().writeEvent(chunk(data), out)
  assert.equal(out.parts()[1]!.buffer, data.buffer)
  out.clear()
  assert.deepEqual([out.size, out.parts().length], [0, 0])
})
