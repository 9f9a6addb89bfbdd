import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AgentEvent } from '../../src/core/event.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import { reply as replyOf } from '../../src/core/reply.ts'
import { encodeEvent, encodeReply } from '../../src/wire/grpc/encode.ts'
import * as protoEvents from '../../src/wire/grpc/proto-events.ts'
import * as protoReplies from '../../src/wire/grpc/proto-replies.ts'
import { readBodyChunkProto, readRequestHeadersProto } from '../../src/wire/grpc/read-frequent-events.ts'
import { readReplyProto } from '../../src/wire/grpc/read-frequent-replies.ts'
import { AgentToProxy, type ProtoMessage, ProxyToAgent } from '../../src/wire/grpc/service.ts'
import * as events from '../../src/wire/shape/events.ts'
import { plainEvent } from '../../src/wire/shape/plain-events.ts'
import { plainReply } from '../../src/wire/shape/plain-replies.ts'
import { agentReply } from '../../src/wire/shape/replies.ts'
import { readBodyChunkJson, readRequestHeadersJson } from '../../src/wire/uds/json-read-events.ts'
import { readReplyJson } from '../../src/wire/uds/json-read-replies.ts'
import { parseMsgpack } from '../../src/wire/uds/msgpack-read.ts'
import { readBodyChunkMsgpack, readRequestHeadersMsgpack } from '../../src/wire/uds/msgpack-read-events.ts'
import { readReplyMsgpack } from '../../src/wire/uds/msgpack-read-replies.ts'
import * as arbitrary from './support/arbitraries.ts'
import { PAIRS, withoutUndefined, written } from './support/codecs.ts'

/*
 * The hand-written paths against the generic ones: each message is written by hand and read by the library, and
 * read by hand and by the library.
 */
const RUNS = { numRuns: 300 }
const HEAD = 5
const [json, msgpack, grpc] = PAIRS as unknown as readonly [
  (typeof PAIRS)[0],
  (typeof PAIRS)[0],
  (typeof PAIRS)[0],
]

const frequentEvent = (): fc.Arbitrary<AgentEvent> =>
  fc.oneof<fc.Arbitrary<AgentEvent>[]>(
    arbitrary.requestHeaders(),
    arbitrary.bodyChunk(),
    arbitrary.responseHeaders(),
  )

const plainAnswer = (): fc.Arbitrary<AgentReply> =>
  arbitrary.agentReply().map((any) =>
    replyOf(
      any.correlationId,
      any.decision.kind === 'block' ? { ...any.decision, headers: undefined } : { kind: 'allow' },
      {
        requestHeaders: any.requestHeaders,
        responseHeaders: any.responseHeaders,
        needsMore: any.needsMore,
        processingTimeMs: any.processingTimeMs,
      },
    ),
  )

const payloadOf = (write: Parameters<typeof written>[0]): Buffer => written(write).subarray(HEAD)

/** Like JSON, compares what is said and not how absent members are said. */
const same = (actual: unknown, expected: unknown): void =>
  assert.deepEqual(withoutUndefined(actual), withoutUndefined(expected))

test('JSON written by hand parses to what JSON.stringify would have said', () => {
  fc.assert(
    fc.property(frequentEvent(), plainAnswer(), (event, reply) => {
      const asked = payloadOf((out) => json.proxy().writeEvent(event, out)).toString()
      assert.deepEqual(JSON.parse(asked), JSON.parse(JSON.stringify(plainEvent(event))))
      const answered = payloadOf((out) => json.agent().writeReply(reply, out)).toString()
      assert.deepEqual(JSON.parse(answered), JSON.parse(JSON.stringify(plainReply(reply))))
    }),
    RUNS,
  )
})

test('JSON read by hand is what JSON.parse and the checks make of it', () => {
  let byHand = 0
  fc.assert(
    fc.property(
      fc.oneof(arbitrary.requestHeaders(), arbitrary.bodyChunk()),
      plainAnswer(),
      (event, reply) => {
        const asked = payloadOf((out) => json.proxy().writeEvent(event, out))
        const plain: unknown = JSON.parse(asked.toString())
        const [fast, slow] =
          event.kind === 'request-headers'
            ? [readRequestHeadersJson(asked, 0, asked.length), events.requestHeaders(plain)]
            : [readBodyChunkJson(event.kind, asked, 0, asked.length), events.bodyChunk(event.kind, plain)]
        if (fast !== null) {
          byHand++
          same(fast, slow)
        }
        const answered = payloadOf((out) => json.agent().writeReply(reply, out))
        const fastReply = readReplyJson(answered, 0, answered.length)
        if (fastReply !== null) {
          byHand++
          same(fastReply, agentReply(JSON.parse(answered.toString())))
        }
      },
    ),
    RUNS,
  )
  /* The arbitrary texts are mostly awkward ones, whose escapes are left to JSON.parse. */
  assert.ok(byHand > RUNS.numRuns / 2, `only ${byHand} of ${2 * RUNS.numRuns} messages took the fast path`)
})

test('MessagePack written by hand unpacks to what the plain message says', () => {
  fc.assert(
    fc.property(frequentEvent(), plainAnswer(), (event, reply) => {
      const asked = payloadOf((out) => msgpack.proxy().writeEvent(event, out))
      assert.deepEqual(parseMsgpack(asked, 0, asked.length), JSON.parse(JSON.stringify(plainEvent(event))))
      const answered = payloadOf((out) => msgpack.agent().writeReply(reply, out))
      assert.deepEqual(
        parseMsgpack(answered, 0, answered.length),
        JSON.parse(JSON.stringify(plainReply(reply))),
      )
    }),
    RUNS,
  )
})

test('MessagePack read by hand is what the unpacker and the checks make of it', () => {
  let byHand = 0
  fc.assert(
    fc.property(
      fc.oneof(arbitrary.requestHeaders(), arbitrary.bodyChunk()),
      plainAnswer(),
      (event, reply) => {
        const asked = payloadOf((out) => msgpack.proxy().writeEvent(event, out))
        const plain = parseMsgpack(asked, 0, asked.length)
        const [fast, slow] =
          event.kind === 'request-headers'
            ? [readRequestHeadersMsgpack(asked, 0, asked.length), events.requestHeaders(plain)]
            : [readBodyChunkMsgpack(event.kind, asked, 0, asked.length), events.bodyChunk(event.kind, plain)]
        if (fast !== null) {
          byHand++
          same(fast, slow)
        }
        const answered = payloadOf((out) => msgpack.agent().writeReply(reply, out))
        const fastReply = readReplyMsgpack(answered, 0, answered.length)
        assert.ok(fastReply !== null || (reply.processingTimeMs ?? 0) >= 2 ** 32)
        if (fastReply !== null) same(fastReply, agentReply(parseMsgpack(answered, 0, answered.length)))
      },
    ),
    RUNS,
  )
  assert.ok(byHand > RUNS.numRuns / 2, `only ${byHand} of ${RUNS.numRuns} events took the fast path`)
})

const protoEventOf = (kind: AgentEvent['kind'], decoded: ProtoMessage): AgentEvent => {
  const inner = decoded[decoded['message'] as string] as ProtoMessage
  if (kind === 'request-headers') return protoEvents.requestHeaders(inner)
  if (kind === 'response-headers') return protoEvents.responseHeaders(inner)
  return protoEvents.bodyChunk(kind as 'request-body-chunk', inner)
}

test('protobuf written by hand decodes to what generated code would have written', () => {
  fc.assert(
    fc.property(frequentEvent(), plainAnswer(), (event, reply) => {
      const asked = payloadOf((out) => grpc.proxy().writeEvent(event, out))
      same(
        protoEventOf(event.kind, ProxyToAgent.decode(asked)),
        protoEventOf(event.kind, ProxyToAgent.decode(encodeEvent(event, 1))),
      )
      const answered = payloadOf((out) => grpc.agent().writeReply(reply, out))
      const response = (bytes: Buffer): unknown =>
        protoReplies.agentReply(AgentToProxy.decode(bytes)['response'] as ProtoMessage)
      same(response(answered), response(encodeReply(reply)))
    }),
    RUNS,
  )
})

test('protobuf read by hand, also as generated code writes it, is what generated code and the checks make of it', () => {
  fc.assert(
    fc.property(
      fc.oneof(arbitrary.requestHeaders(), arbitrary.bodyChunk()),
      plainAnswer(),
      (event, reply) => {
        for (const asked of [
          payloadOf((out) => grpc.proxy().writeEvent(event, out)),
          encodeEvent(event, 1),
        ]) {
          const fast =
            event.kind === 'request-headers'
              ? readRequestHeadersProto(asked, 1, asked.length)
              : readBodyChunkProto(event.kind, asked, 1, asked.length)
          const isLong = asked.includes(0xff)
          assert.ok(
            fast !== null || isLong || asked.length > 1000 || hasHugeCount(event),
            asked.toString('hex'),
          )
          if (fast !== null) same(fast, protoEventOf(event.kind, ProxyToAgent.decode(asked)))
        }
        for (const answered of [
          payloadOf((out) => grpc.agent().writeReply(reply, out)),
          encodeReply(reply),
        ]) {
          const fast = readReplyProto(answered, 1, answered.length)
          if (fast === null) continue
          same(fast, protoReplies.agentReply(AgentToProxy.decode(answered)['response'] as ProtoMessage))
        }
      },
    ),
    RUNS,
  )
})

/** The fast reader leaves varints of more than 49 bits to generated code. */
function hasHugeCount(event: AgentEvent): boolean {
  if (event.kind !== 'request-body-chunk' && event.kind !== 'response-body-chunk') return false
  return event.bytesTransferred >= 2 ** 49 || (event.totalSize ?? 0) >= 2 ** 49
}

test('what proxies and agents send most is read by hand in every encoding', () => {
  const event = {
    kind: 'request-headers',
    correlationId: 'k3f09a1c-000',
    metadata: {
      requestId: 'r1',
      clientIp: '203.0.113.7',
      clientPort: 54321,
      serverName: 'shop',
      protocol: 'HTTP/2',
      timestampMs: 1_795_000_000_123,
    },
    method: 'GET',
    uri: '/caf\u00e9?q=1',
    headers: ['host', 'shop', 'cookie', 'a=1', 'cookie', 'b=2'],
  } as const
  const reply = replyOf(
    'k3f09a1c-000',
    { kind: 'block', status: 403, body: 'no' },
    {
      requestHeaders: [
        { op: 'set', name: 'x', value: 'y' },
        { op: 'remove', name: 'z' },
      ],
    },
  )
  for (const pair of PAIRS) {
    const asked = payloadOf((out) => pair.proxy().writeEvent(event, out))
    const answered = payloadOf((out) => pair.agent().writeReply(reply, out))
    const [heard, told] = {
      json: [readRequestHeadersJson(asked, 0, asked.length), readReplyJson(answered, 0, answered.length)],
      msgpack: [
        readRequestHeadersMsgpack(asked, 0, asked.length),
        readReplyMsgpack(answered, 0, answered.length),
      ],
      grpc: [readRequestHeadersProto(asked, 1, asked.length), readReplyProto(answered, 1, answered.length)],
    }[pair.name]
    same(heard, event)
    same(told, reply)
  }
})

test('the reference proxy writes JSON events in the order that is read by hand', () => {
  const payload = Buffer.from(
    '{"correlation_id":"c1","headers":{"accept":["*/*"],"host":["a","b"]},"metadata":{"client_ip":"1.2.3.4","client_port":80,"correlation_id":"c1","protocol":"HTTP/1.1","request_id":"r1","route_id":"rt","server_name":null,"timestamp":"2026-11-21T12:00:00.123456789+00:00","tls_cipher":null,"tls_version":null,"upstream_id":null},"method":"GET","uri":"/"}',
  )
  const fast = readRequestHeadersJson(payload, 0, payload.length)
  assert.ok(fast !== null)
  same(fast, events.requestHeaders(JSON.parse(payload.toString())))
  assert.equal(fast.metadata.timestampMs, Date.UTC(2026, 10, 21, 12, 0, 0, 123))
})

test('strings of any code units cross every encoding as well-formed Unicode', () => {
  fc.assert(
    fc.property(arbitrary.anyText(), (text) => {
      const event = {
        kind: 'request-headers',
        correlationId: 'c1',
        metadata: { requestId: text, clientIp: '', clientPort: 0, protocol: '', timestampMs: 0 },
        method: text,
        uri: text,
        headers: ['a', text, 'b', `${text}"${text}`],
      } as const
      const expected = Buffer.from(text).toString()
      for (const pair of PAIRS) {
        const bytes = written((out) => pair.proxy().writeEvent(event, out))
        const heard: AgentEvent[] = []
        pair
          .agent()
          .reader({ ...ignoring, onEvent: (told) => heard.push(told) })
          .push(bytes)
        const [told] = heard as (typeof event)[]
        assert.equal(told!.uri, expected, pair.name)
        assert.equal(told!.metadata.requestId, expected)
        assert.deepEqual(told!.headers, ['a', expected, 'b', Buffer.from(`${text}"${text}`).toString()])
      }
      const generic = {
        ...event,
        kind: 'guardrail-inspect',
        inspectionType: 'pii_detection',
        content: text,
        categories: [text],
      }
      const bytes = written((out) =>
        json.proxy().writeEvent({ ...generic, metadata: {} } as unknown as AgentEvent, out),
      )
      assert.equal((JSON.parse(bytes.toString('utf8', HEAD)) as { content: string }).content, expected)
    }),
    { numRuns: 400 },
  )
})

const ignoring = {
  onHandshake: () => {},
  onRegistrationResponse: () => {},
  onMalformedEvent: (_id: string, error: Error) => assert.fail(error),
  onCancel: () => {},
  onPing: () => {},
}
