import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BodyChunkEvent } from '../../src/core/event.ts'
import type { ChannelListener } from '../../src/transport/channel/byte-channel.ts'
import { ReadBuffers } from '../../src/transport/channel/read-buffers.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { MessageReader, ProxyMessageSink } from '../../src/wire/codec.ts'
import { udsAgentCodec } from '../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'

/** What an agent's link does with what is read. */
class Reading implements ChannelListener {
  readonly events: BodyChunkEvent[] = []
  onEvent: (event: BodyChunkEvent) => void = () => undefined
  kept = 0
  readonly #reader: MessageReader

  constructor() {
    const codec = udsAgentCodec()
    codec.useEncoding('msgpack')
    const unexpected = (): never => assert.fail('no such message was written')
    const sink: ProxyMessageSink = {
      onHandshake: unexpected,
      onRegistrationResponse: unexpected,
      onEvent: (event) => {
        this.events.push(event as BodyChunkEvent)
        this.onEvent(event as BodyChunkEvent)
      },
      onMalformedEvent: (_id, error) => assert.fail(error),
      onCancel: unexpected,
      onPing: unexpected,
    }
    this.#reader = codec.reader(sink)
  }

  onData(bytes: Buffer): void {
    this.#reader.push(bytes)
  }

  keptCount(): number {
    return this.kept
  }

  heldBytes(): number {
    return this.#reader.bufferedBytes
  }

  moveHeld(to: Buffer): number {
    return this.#reader.moveHeld(to)
  }

  onEnd(): void {}
  onRetiring(): void {}
  onClosed(): void {}
}

const datum = (n: number, length: number): Buffer => Buffer.alloc(length, (n * 37 + 11) & 0xff)

function stream(sizes: readonly number[]): Buffer {
  const out = new ByteWriter()
  const proxy = udsProxyCodec()
  proxy.useEncoding('msgpack', true)
  for (const [chunkIndex, length] of sizes.entries())
    proxy.writeEvent(
      {
        kind: 'request-body-chunk',
        correlationId: 'abcdefgh-001',
        data: datum(chunkIndex, length),
        chunkIndex,
        isLast: false,
        bytesTransferred: 1,
      },
      out,
    )
  return Buffer.from(out.bytes.subarray(0, out.end))
}

/** As a socket does: fills what it is given, at most `reads[n]` bytes at a time. Returns the buffers it was given. */
function read(
  bytes: Buffer,
  reads: readonly number[],
  buffers: ReadBuffers,
  to: ChannelListener,
): Set<ArrayBufferLike> {
  const used = new Set<ArrayBufferLike>()
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const target = buffers.next()
    assert.ok(target.length > 0)
    used.add(target.buffer)
    const count = Math.min(target.length, reads[n % reads.length]!, bytes.length - at)
    bytes.copy(target, 0, at, at + count)
    buffers.deliver(count, to)
    at += count
  }
  return used
}

const sizes = fc.array(
  fc.oneof(fc.nat(300), fc.integer({ min: 16_000, max: 17_000 }), fc.integer({ min: 60_000, max: 400_000 })),
  { minLength: 1, maxLength: 12 },
)
const reads = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1000, max: 300_000 })), {
  minLength: 1,
  maxLength: 6,
})

test('data that may be kept is never written over, however the bytes come', () => {
  fc.assert(
    fc.property(sizes, reads, (lengths, counts) => {
      fc.pre(Math.max(...counts) > 1000)
      const reading = new Reading()
      read(stream(lengths), counts, new ReadBuffers(false), reading)
      assert.equal(reading.events.length, lengths.length)
      for (const [n, length] of lengths.entries())
        assert.ok(Buffer.from(reading.events[n]!.data).equals(datum(n, length)), `piece ${n}`)
    }),
    { numRuns: 100 },
  )
})

test('data that nobody keeps is whole while it is looked at, and what is kept stays whole', () => {
  fc.assert(
    fc.property(sizes, reads, fc.array(fc.boolean(), { minLength: 1 }), (lengths, counts, keeps) => {
      fc.pre(Math.max(...counts) > 1000)
      const reading = new Reading()
      const isKept = (n: number): boolean => keeps[n % keeps.length]!
      reading.onEvent = ({ data, chunkIndex: n }) => {
        assert.ok(Buffer.from(data).equals(datum(n, lengths[n]!)), `piece ${n}`)
        if (isKept(n)) reading.kept++
      }
      read(stream(lengths), counts, new ReadBuffers(true), reading)
      for (const [n, length] of lengths.entries())
        if (isKept(n)) assert.ok(Buffer.from(reading.events[n]!.data).equals(datum(n, length)), `kept ${n}`)
    }),
    { numRuns: 150 },
  )
})

test('a long body that nobody keeps is read into one slab', () => {
  const lengths = new Array<number>(200).fill(65_536)
  const reused = read(stream(lengths), [150_000, 90_000, 65_536], new ReadBuffers(true), new Reading())
  assert.ok(reused.size <= 2, `${reused.size} buffers`)
  const fresh = read(stream(lengths), [150_000, 90_000, 65_536], new ReadBuffers(false), new Reading())
  assert.ok(fresh.size > 10, `${fresh.size} buffers`)
})

test('a connection with little to read has no buffer of its own, and one that calms down gives its slab back', () => {
  const buffers = new ReadBuffers(false)
  const shared = new ReadBuffers(false).next().buffer
  const reading = new Reading()
  read(stream(new Array<number>(50).fill(100)), [400], buffers, reading)
  assert.equal(buffers.next().buffer, shared)
  read(stream(new Array<number>(4).fill(65_536)), [65_536], buffers, reading)
  assert.notEqual(buffers.next().buffer, shared)
  read(stream(new Array<number>(50).fill(100)), [400], buffers, reading)
  assert.equal(buffers.next().buffer, shared)
})
