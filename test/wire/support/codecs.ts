import { ByteWriter } from '../../../src/wire/byte-writer.ts'
import type { AgentCodec, AgentMessageSink, ProxyCodec, ProxyMessageSink } from '../../../src/wire/codec.ts'
import { grpcAgentCodec } from '../../../src/wire/grpc/agent-codec.ts'
import { grpcProxyCodec } from '../../../src/wire/grpc/proxy-codec.ts'
import { udsAgentCodec } from '../../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../../src/wire/uds/proxy-codec.ts'
import { recordingAgentSink, recordingProxySink, type Told } from './recording-sink.ts'

/** Both ends of one encoding. */
export interface Pair {
  readonly name: 'json' | 'msgpack' | 'grpc'
  proxy(): ProxyCodec
  agent(): AgentCodec
}

export const PAIRS: readonly Pair[] = [
  { name: 'json', proxy: () => udsProxyCodec(), agent: () => udsAgentCodec() },
  {
    name: 'msgpack',
    proxy() {
      const codec = udsProxyCodec()
      codec.useEncoding('msgpack')
      return codec
    },
    agent() {
      const codec = udsAgentCodec()
      codec.useEncoding('msgpack')
      return codec
    },
  },
  { name: 'grpc', proxy: () => grpcProxyCodec(), agent: () => grpcAgentCodec() },
]

/** The bytes that one or several writes append. */
export function written(write: (out: ByteWriter) => void): Buffer {
  const out = new ByteWriter(16)
  write(out)
  return Buffer.from(out.bytes.subarray(0, out.end))
}

/** Feeds bytes cut at the given places and returns what the sink was told. */
export function agentHears(codec: AgentCodec, bytes: Buffer, cuts: readonly number[] = []): Told[] {
  const { sink, told } = recordingProxySink()
  feed(codec.reader(sink satisfies ProxyMessageSink), bytes, cuts)
  return told
}

export function proxyHears(codec: ProxyCodec, bytes: Buffer, cuts: readonly number[] = []): Told[] {
  const { sink, told } = recordingAgentSink()
  feed(codec.reader(sink satisfies AgentMessageSink), bytes, cuts)
  return told
}

function feed(
  reader: { push(chunk: Buffer): void; end(): void },
  bytes: Buffer,
  cuts: readonly number[],
): void {
  let from = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= from || cut >= bytes.length) continue
    pushOnce(reader, bytes.subarray(from, cut))
    from = cut
  }
  pushOnce(reader, bytes.subarray(from))
  reader.end()
}

/** The chunk is overwritten after the push, because a socket's buffer may be, so nothing may point into it. */
function pushOnce(reader: { push(chunk: Buffer): void }, part: Buffer): void {
  const chunk = Buffer.from(part)
  reader.push(chunk)
  chunk.fill(0x5a)
}

/** Members that are undefined say the same as absent ones. */
export function withoutUndefined(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(withoutUndefined)
  if (typeof value !== 'object' || value === null || value instanceof Error) return value
  const kept = Object.entries(value).filter(([, member]) => member !== undefined)
  return Object.fromEntries(kept.map(([key, member]) => [key, withoutUndefined(member)]))
}
