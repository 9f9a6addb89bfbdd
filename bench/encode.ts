import { Packr } from 'msgpackr'
import protobuf from 'protobufjs'
import type { BodyChunkEvent, RequestHeadersEvent } from '../src/core/event.ts'
import { type AgentReply, reply } from '../src/core/reply.ts'
import { ByteWriter } from '../src/wire/byte-writer.ts'
import type {
  AgentCodec,
  AgentMessageSink,
  MessageReader,
  ProxyCodec,
  ProxyMessageSink,
} from '../src/wire/codec.ts'
import { grpcAgentCodec } from '../src/wire/grpc/agent-codec.ts'
import { protoEvent } from '../src/wire/grpc/proto-events.ts'
import { protoReply } from '../src/wire/grpc/proto-replies.ts'
import { grpcProxyCodec } from '../src/wire/grpc/proxy-codec.ts'
import { packagePath } from '../src/wire/package-root.ts'
import { plainEvent } from '../src/wire/shape/plain-events.ts'
import { plainReply } from '../src/wire/shape/plain-replies.ts'
import { udsAgentCodec } from '../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../src/wire/uds/proxy-codec.ts'
import { type BenchOptions, type BenchResult, type Row, row } from './harness/result.ts'
import { interleave, median, pairedRatio } from './harness/statistics.ts'

/** Messages per timed stretch. */
const BATCH = 1_000
const ROUNDS = 41
/** Different messages that the libraries are given in turn. */
const KINDS = 64

/** The work of each end for message `n`: `proxy` writes an event and reads a reply, `agent` the other way round. */
interface Contestant {
  proxy(n: number): void
  agent(n: number): void
  /** Writes a body chunk and reads one. */
  body(n: number): void
}

/**
 * What each encoding costs both ends of a connection, beside the library one would otherwise take. The libraries
 * are favoured: the plain objects that they write are made beforehand, and what they read stays a plain object,
 * while ours goes from a fresh event to bytes in a frame and back, checked.
 */
export async function run({ quick }: BenchOptions): Promise<BenchResult> {
  const pairs: Readonly<Record<string, readonly [ours: Contestant, theirs: Contestant]>> = {
    json: [ours(udsProxyCodec(), udsAgentCodec()), jsonLibrary()],
    msgpack: [ours(packed(udsProxyCodec()), packed(udsAgentCodec())), msgpackLibrary()],
    protobuf: [ours(grpcProxyCodec(), grpcAgentCodec()), protobufLibrary()],
  }
  const rows: Row[] = []
  for (const [name, [own, other]] of Object.entries(pairs)) {
    rows.push(await compare(`${name}: write event, read reply`, own, other, 'proxy', quick))
    rows.push(await compare(`${name}: read event, write reply`, own, other, 'agent', quick))
    rows.push(await compare(`${name}: write and read 16 KiB of body`, own, other, 'body', quick))
  }
  return { bench: 'encode', rows }
}

async function compare(
  name: string,
  own: Contestant,
  other: Contestant,
  end: keyof Contestant,
  quick: boolean,
): Promise<Row> {
  const stretch = (of: Contestant) => (): Promise<number> => {
    const started = performance.now()
    for (let n = 0; n < BATCH; n++) {
      of[end](n)
    }
    return Promise.resolve(BATCH / (performance.now() - started))
  }
  const contestants = { ours: stretch(own), theirs: stretch(other) }
  await interleave(quick ? 1 : 5, contestants)
  const rates = await interleave(quick ? 1 : ROUNDS, contestants)
  const nanoseconds = (rate: readonly number[]): number => Math.round(1e6 / median(rate))
  return row(name, pairedRatio(rates['ours']!, rates['theirs']!), 1, {
    'ours ns': nanoseconds(rates['ours']!),
    'theirs ns': nanoseconds(rates['theirs']!),
  })
}

function ours(proxy: ProxyCodec, agent: AgentCodec): Contestant {
  const out = new ByteWriter(4096)
  const fixed = fixtures(proxy, agent)
  const replies = proxy.reader(ignoringAgent)
  const events = agent.reader(ignoringProxy)
  const read = (reader: MessageReader, bytes: Buffer): void => reader.push(bytes)
  return {
    proxy(n) {
      out.end = 0
      proxy.writeEvent(sampleEvent(n), out)
      read(replies, fixed.reply)
    },
    agent(n) {
      read(events, fixed.event)
      out.end = 0
      agent.writeReply(sampleReply(n), out)
    },
    body(n) {
      out.end = 0
      proxy.writeEvent(sampleChunk(n), out)
      read(events, fixed.chunk)
    },
  }
}

/** One message of each kind as it arrives. */
function fixtures(proxy: ProxyCodec, agent: AgentCodec): { event: Buffer; reply: Buffer; chunk: Buffer } {
  const out = new ByteWriter(4096)
  proxy.writeEvent(sampleEvent(1), out)
  const event = Buffer.from(out.bytes.subarray(0, out.end))
  out.end = 0
  agent.writeReply(sampleReply(1), out)
  const answer = Buffer.from(out.bytes.subarray(0, out.end))
  out.end = 0
  proxy.writeEvent(sampleChunk(1), out)
  return { event, reply: answer, chunk: Buffer.from(out.bytes.subarray(0, out.end)) }
}

function jsonLibrary(): Contestant {
  const events = made((n) => plainEvent(sampleEvent(n)))
  const replies = made((n) => plainReply(sampleReply(n)))
  const target = Buffer.allocUnsafeSlow(65_536)
  const event = Buffer.from(JSON.stringify(plainEvent(sampleEvent(1))))
  const answer = Buffer.from(JSON.stringify(plainReply(sampleReply(1))))
  const chunk = Buffer.from(JSON.stringify(plainEvent(sampleChunk(1))))
  return {
    proxy(n) {
      target.write(JSON.stringify(events[n % KINDS]), 5)
      JSON.parse(answer.toString())
    },
    agent(n) {
      JSON.parse(event.toString())
      target.write(JSON.stringify(replies[n % KINDS]), 5)
    },
    body(n) {
      target.write(JSON.stringify(plainEvent(sampleChunk(n))), 5)
      const read = JSON.parse(chunk.toString()) as { data: string }
      Buffer.from(read.data, 'base64')
    },
  }
}

function msgpackLibrary(): Contestant {
  const events = made((n) => plainEvent(sampleEvent(n)))
  const replies = made((n) => plainReply(sampleReply(n)))
  const packr = new Packr({
    useRecords: false,
    mapsAsObjects: true,
    int64AsType: 'number',
    variableMapSize: true,
  })
  const event = Buffer.from(packr.pack(plainEvent(sampleEvent(1))))
  const answer = Buffer.from(packr.pack(plainReply(sampleReply(1))))
  const chunk = Buffer.from(packr.pack(plainEvent(sampleChunk(1))))
  return {
    proxy(n) {
      packr.pack(events[n % KINDS])
      packr.unpack(answer)
    },
    agent(n) {
      packr.unpack(event)
      packr.pack(replies[n % KINDS])
    },
    body(n) {
      packr.pack(plainEvent(sampleChunk(n)))
      const read = packr.unpack(chunk) as { data: string }
      Buffer.from(read.data, 'base64')
    },
  }
}

/** protobufjs compiles encoders and decoders of each type at run time, the same code that its CLI prints. */
function protobufLibrary(): Contestant {
  const events = made((n) => protoEvent(sampleEvent(n), 1))
  const replies = made((n) => ({ response: protoReply(sampleReply(n)) }))
  const root = new protobuf.Root().loadSync(packagePath('proto/agent_v2.proto'), { keepCase: true })
  const toAgent = root.lookupType('zentinel.agent.v2.ProxyToAgent')
  const toProxy = root.lookupType('zentinel.agent.v2.AgentToProxy')
  const event = Buffer.from(toAgent.encode(protoEvent(sampleEvent(1), 1)).finish())
  const answer = Buffer.from(toProxy.encode({ response: protoReply(sampleReply(1)) }).finish())
  const chunk = Buffer.from(toAgent.encode(protoEvent(sampleChunk(1), 1)).finish())
  return {
    proxy(n) {
      toAgent.encode(events[n % KINDS]!).finish()
      toProxy.decode(answer)
    },
    agent(n) {
      toAgent.decode(event)
      toProxy.encode(replies[n % KINDS]!).finish()
    },
    body(n) {
      toAgent.encode(protoEvent(sampleChunk(n), 1)).finish()
      const read = toAgent.decode(chunk) as unknown as { request_body_chunk: { data: Uint8Array } }
      Buffer.from(read.request_body_chunk.data)
    },
  }
}

function made<T>(of: (n: number) => T): readonly T[] {
  return Array.from({ length: KINDS }, (_, n) => of(n))
}

function packed<T extends { useEncoding(encoding: 'msgpack'): void }>(codec: T): T {
  codec.useEncoding('msgpack')
  return codec
}

/** What proxies send for a browser's request: ten headers, about 700 bytes of text. */
function sampleEvent(n: number): RequestHeadersEvent {
  return {
    kind: 'request-headers',
    correlationId: `k3f09a1c-${(n & 0xfff).toString(16).padStart(3, '0')}`,
    metadata: {
      requestId: '0192f3a4-5b6c-7d8e-9f00-112233445566',
      clientIp: '203.0.113.77',
      clientPort: 50_000 + (n & 0xfff),
      serverName: 'shop.example.com',
      protocol: 'HTTP/1.1',
      tlsVersion: undefined,
      tlsCipher: undefined,
      routeId: 'shop-api',
      upstreamId: 'shop',
      timestampMs: 1_795_000_000_000 + (n >> 5),
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    },
    method: 'GET',
    uri: `/api/v1/items/${n}?page=2&sort=price`,
    headers: HEADERS,
  }
}

const HEADERS = [
  'host',
  'shop.example.com',
  'user-agent',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'accept-language',
  'en-US,en;q=0.9,de;q=0.8',
  'accept-encoding',
  'gzip, deflate, br, zstd',
  'connection',
  'keep-alive',
  'cookie',
  'session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=1',
  'referer',
  'https://shop.example.com/catalogue',
  'x-request-id',
  '0192f3a4-5b6c-7d8e-9f00-112233445566',
  'x-forwarded-for',
  '203.0.113.77',
] as const

const ALLOW_WITH_HEADER = reply(
  '',
  { kind: 'allow' },
  { requestHeaders: [{ op: 'set', name: 'x-agent', value: '1' }] },
)

function sampleReply(n: number): AgentReply {
  return { ...ALLOW_WITH_HEADER, correlationId: `k3f09a1c-${(n & 0xfff).toString(16).padStart(3, '0')}` }
}

const BODY = Buffer.alloc(16 * 1024, 'field=value&')

function sampleChunk(n: number): BodyChunkEvent {
  return {
    kind: 'request-body-chunk',
    correlationId: 'k3f09a1c-000',
    data: BODY,
    chunkIndex: n,
    isLast: false,
    totalSize: undefined,
    bytesTransferred: (n + 1) * BODY.length,
  }
}

const ignore = (): void => {}

const ignoringAgent: AgentMessageSink = {
  onReply: ignore,
  onMalformedReply: ignore,
  onHandshakeResponse: ignore,
  onRegistration: ignore,
  onHealth: ignore,
  onMetrics: ignore,
  onConfigUpdate: ignore,
  onFlow: ignore,
  onLog: ignore,
  onPong: ignore,
  onMalformedControl: ignore,
}

const ignoringProxy: ProxyMessageSink = {
  onHandshake: ignore,
  onRegistrationResponse: ignore,
  onEvent: ignore,
  onMalformedEvent: ignore,
  onCancel: ignore,
  onPing: ignore,
}
