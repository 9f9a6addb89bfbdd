import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../src/core/clock.ts'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { AgentLink } from '../../src/transport/agent-end/agent-link.ts'
import { MuxConnection } from '../../src/transport/proxy-end/mux-connection.ts'
import { ByteWriter } from '../../src/wire/byte-writer.ts'
import type { AgentCodec, ProxyCodec, SwitchableEncoding } from '../../src/wire/codec.ts'
import { grpcAgentCodec } from '../../src/wire/grpc/agent-codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { udsAgentCodec } from '../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'
import { type Asked, ask, Observed } from '../conformance/support/observed.ts'
import { ASKED_KINDS, eventOf } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { HANDSHAKE } from '../conformance/support/transports.ts'
import { PipeChannel } from './support/pipe-channel.ts'

const maxMessageBytes = 1_000_000

interface Wire {
  readonly name: string
  readonly proxy: () => ProxyCodec & Partial<SwitchableEncoding>
  readonly agent: () => AgentCodec & Partial<SwitchableEncoding>
  readonly encoding: 'json' | 'msgpack'
  readonly configureAck: 'reply' | 'pong'
}

const WIRES: readonly Wire[] = [
  { name: 'JSON', proxy: udsProxyCodec, agent: udsAgentCodec, encoding: 'json', configureAck: 'reply' },
  {
    name: 'MessagePack',
    proxy: udsProxyCodec,
    agent: udsAgentCodec,
    encoding: 'msgpack',
    configureAck: 'reply',
  },
  { name: 'gRPC', proxy: grpcProxyCodec, agent: grpcAgentCodec, encoding: 'json', configureAck: 'pong' },
]

/** What may happen to a stream on its way: a byte changed, bytes lost, bytes repeated; then cut into chunks. */
const damage = fc.record({
  flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
  loss: fc.option(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 40 })), { freq: 3 }),
  chunk: fc.integer({ min: 1, max: 700 }),
})

function damaged(
  stream: Buffer,
  { flips, loss }: { flips: [number, number][]; loss: [number, number] | null },
) {
  const bytes = Buffer.from(stream)
  for (const [at, mask] of flips) bytes[at % bytes.length]! ^= mask
  if (loss === null) return bytes
  const from = loss[0] % bytes.length
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + loss[1])])
}

function deliver(channel: PipeChannel, bytes: Buffer, size: number): void {
  for (let at = 0; at < bytes.length; at += size) channel.deliver(Buffer.from(bytes.subarray(at, at + size)))
}

for (const wire of WIRES) {
  test(`however an agent's ${wire.name} is damaged, everybody who waits is told once`, async () => {
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        const channel = new PipeChannel()
        const codec = wire.proxy()
        codec.useEncoding?.(wire.encoding)
        const traits = {
          transport: 'uds',
          configureAck: wire.configureAck,
          isExclusive: false,
          maxMessageBytes,
        } as const
        const connection = new MuxConnection(channel, codec, traits, { onFailed() {} }, systemClock, 65_536)
        connection.admit(new ScriptedAgent().capabilities)
        const observed = new Observed()
        connection.observe(observed)
        const waiting: Asked[] = ASKED_KINDS.map((kind) => ask(connection, eventOf(kind, `c-${kind}`)))

        const agent = wire.agent()
        agent.useEncoding?.(wire.encoding)
        const out = new ByteWriter()
        for (const { correlationId } of waiting) {
          agent.writeReply(plainAllow(correlationId), out)
          agent.writeReply(reply(correlationId, { kind: 'block', status: 403, body: 'no' }), out)
          agent.writeFlow({ action: 'pause', timestampMs: 1 }, out)
          agent.writeHealth({ agentId: 'a', state: 'healthy', timestampMs: 1 }, out)
        }
        deliver(channel, damaged(Buffer.from(out.bytes.subarray(0, out.end)), how), how.chunk)
        await channel.finish()
        assert.equal(observed.closed.length, 1)
        assert.deepEqual(
          waiting.map(({ settled }) => settled),
          waiting.map(() => 1),
        )
        assert.equal(connection.pendingCount, 0)
      }),
      { numRuns: 100 },
    )
  })

  test(`however a proxy's ${wire.name} is damaged, its link ends once and nothing is thrown`, async () => {
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        const channel = new PipeChannel()
        const agent = new ScriptedAgent()
        const encodings = [wire.encoding]
        const traits = {
          transport: 'uds',
          configureAck: wire.configureAck,
          encodings,
          greeting: 'handshake',
          maxMessageBytes,
        } as const
        const link = new AgentLink(channel, wire.agent(), traits, agent.options, systemClock)
        const codec = wire.proxy()
        const out = new ByteWriter()
        const { proxyId, proxyVersion } = HANDSHAKE
        const supportedEncodings = encodings
        codec.writeHandshake(
          { supportedVersions: [2, 1], proxyId, proxyVersion, config: undefined, supportedEncodings },
          out,
        )
        codec.useEncoding?.(wire.encoding)
        for (const kind of ASKED_KINDS) {
          codec.writeEvent(eventOf(kind, `c-${kind}`), out)
          codec.writePing(1, 1, out)
          codec.writeCancel(`c-${kind}`, 'timeout', 1, out)
        }
        deliver(channel, damaged(Buffer.from(out.bytes.subarray(0, out.end)), how), how.chunk)
        await channel.finish()
        assert.equal(link.isClosed, true)
        assert.equal(agent.closed.length, agent.links.length)
        assert.ok(agent.links.length <= 1)
      }),
      { numRuns: 100 },
    )
  })
}
