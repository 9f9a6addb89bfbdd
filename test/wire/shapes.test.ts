import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentCapabilities } from '../../src/core/agent-messages.ts'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../../src/core/agent-messages.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { AgentToProxy, ProxyToAgent } from '../../src/wire/grpc/service.ts'
import { agentHears, PAIRS, proxyHears, withoutUndefined, written } from './support/codecs.ts'
import type { Told } from './support/recording-sink.ts'

const [json, msgpack, grpc] = PAIRS as unknown as readonly [
  (typeof PAIRS)[0],
  (typeof PAIRS)[0],
  (typeof PAIRS)[0],
]

function frame(type: number, payload: unknown): Buffer {
  const isReady = typeof payload === 'string' || Buffer.isBuffer(payload)
  const body = Buffer.from(isReady ? payload : JSON.stringify(payload))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

function message(payload: Buffer): Buffer {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(payload.length, 1)
  return Buffer.concat([prefix, payload])
}

const answered = (payload: unknown): Told => proxyHears(json.proxy(), frame(0x20, payload))[0]!
const controlled = (type: number, payload: unknown): Told =>
  proxyHears(json.proxy(), frame(type, payload))[0]!
const asked = (type: number, payload: unknown): Told => agentHears(json.agent(), frame(type, payload))[0]!
const decisionOf = (told: Told): unknown => (told[1] as AgentReply).decision

test('a reply needs only a version and a decision', () => {
  assert.deepEqual(withoutUndefined(answered({ version: 2, decision: 'allow' })), [
    'reply',
    withoutUndefined(plainAllow('')),
  ])
})

test('every form of a decision is read, and no other', () => {
  const good: readonly [unknown, unknown][] = [
    [{ allow: null }, { kind: 'allow' }],
    [{ block: { status: 403 } }, { kind: 'block', status: 403 }],
    [
      { block: { status: 403, body: null, headers: { 'X-A': 'b' } } },
      { kind: 'block', status: 403, headers: ['x-a', 'b'] },
    ],
    [{ redirect: { url: '/x', status: 302 } }, { kind: 'redirect', url: '/x', status: 302 }],
    [
      { challenge: { challenge_type: 'basic', params: { realm: 'r' } } },
      { kind: 'challenge', challengeType: 'basic', params: { realm: 'r' } },
    ],
  ]
  for (const [form, expected] of good) {
    assert.deepEqual(withoutUndefined(decisionOf(answered({ version: 2, decision: form }))), expected)
  }
  const bad = [
    undefined,
    null,
    'Allow',
    'deny',
    { allow: {} },
    { block: {} },
    { block: { status: 99 } },
    { block: { status: 600 } },
    { block: { status: 65_939 } },
    { block: { status: 403.5 } },
    { redirect: { url: '/x' } },
    { challenge: { challenge_type: 'x' }, allow: null },
  ]
  for (const form of bad) {
    const told = answered({ version: 2, decision: form, correlation_id: 'c9' })
    assert.deepEqual(told.slice(0, 2), ['malformed-reply', 'c9'], JSON.stringify(form))
    assert.equal((told[2] as WeirError).code, 'PROTOCOL_ERROR')
  }
})

test('the id of a reply comes from the audit, else from the top, and is no key of the agent', () => {
  const both = answered({
    version: 2,
    decision: 'allow',
    correlation_id: 'top',
    audit: { custom: { correlation_id: 'in', mine: 1 } },
  })
  assert.equal((both[1] as AgentReply).correlationId, 'in')
  assert.deepEqual((both[1] as AgentReply).audit.custom, { mine: 1 })
  const top = answered({ version: 2, decision: 'allow', correlation_id: 'top', audit: { custom: {} } })
  assert.equal((top[1] as AgentReply).correlationId, 'top')
  assert.deepEqual(answered('[').slice(0, 2), ['malformed-reply', ''])
})

test('a gRPC reply without a decision, or with a status out of range, is malformed, never an allow', () => {
  for (const response of [
    { correlation_id: 'c1' },
    { correlation_id: 'c1', block: { status: 0 } },
    { correlation_id: 'c1', block: { status: 66_000 } },
  ]) {
    const told = proxyHears(grpc.proxy(), message(AgentToProxy.encode({ response })))
    assert.deepEqual(told[0]!.slice(0, 2), ['malformed-reply', 'c1'])
  }
  assert.deepEqual(proxyHears(grpc.proxy(), message(Buffer.alloc(0))), [])
})

test('a decision with a status out of range is not written', () => {
  for (const pair of PAIRS) {
    for (const status of [0, 99, 600, Number.NaN, 403.5]) {
      const bytes = written((out) => {
        const wrong = (): void => pair.agent().writeReply(reply('c1', { kind: 'block', status }), out)
        assert.throws(wrong, (thrown: WeirError) => thrown.code === 'INVALID_ARGUMENT' && !thrown.sent)
      })
      assert.equal(bytes.length, 0)
    }
  }
})

test('health is read as a number, a name and a tagged object, and written as a number', () => {
  const at = { agent_id: 'a', timestamp_ms: 1 }
  for (const state of [2, 'degraded', { status: 'degraded' }]) {
    const told = controlled(0x30, { ...at, state })
    assert.deepEqual(withoutUndefined(told), ['health', { agentId: 'a', state: 'degraded', timestampMs: 1 }])
  }
  const tagged = controlled(0x30, { ...at, state: { status: 'draining', eta_ms: 500 } })
  assert.deepEqual(withoutUndefined(tagged[1]), {
    agentId: 'a',
    state: 'draining',
    timestampMs: 1,
    drainEtaMs: 500,
  })
  const bytes = written((out) =>
    json.agent().writeHealth({ agentId: 'a', state: 'unhealthy', timestampMs: 1 }, out),
  )
  assert.equal((JSON.parse(bytes.toString('utf8', 5)) as { state: unknown }).state, 4)
  for (const state of [0, 5, 'fine', null, undefined])
    assert.equal(controlled(0x30, { ...at, state })[0], 'malformed-control')
})

test('flow is read as a number and as a tagged object; a missing or unknown action is an error, not a resume', () => {
  assert.deepEqual(withoutUndefined(controlled(0x33, { action: 1, timestamp_ms: 1 })), [
    'flow',
    { action: 'pause', timestampMs: 1 },
  ])
  assert.deepEqual(
    withoutUndefined(
      controlled(0x33, {
        correlation_id: 'c1',
        action: { type: 'update_capacity', buffer_available: 9 },
        timestamp_ms: 1,
      }),
    ),
    ['flow', { correlationId: 'c1', action: 'update-capacity', bufferAvailable: 9, timestampMs: 1 }],
  )
  for (const action of [0, 4, undefined, null, 'stop', { type: 'stop' }]) {
    assert.equal(controlled(0x33, { action, timestamp_ms: 1 })[0], 'malformed-control')
  }
})

test('cancels count from 0 on frames and from 1 on gRPC, and the tagged form is read', () => {
  assert.deepEqual(asked(0x40, { correlation_id: 'c1', reason: 4, timestamp_ms: 1 }), [
    'cancel',
    'c1',
    'proxy-shutdown',
  ])
  assert.deepEqual(asked(0x40, { correlation_id: 'c1', reason: { type: 'blocked_by_agent' } }), [
    'cancel',
    'c1',
    'blocked-by-agent',
  ])
  assert.deepEqual(
    agentHears(grpc.agent(), message(ProxyToAgent.encode({ cancel: { correlation_id: 'c1', reason: 4 } }))),
    [['cancel', 'c1', 'upstream-error']],
  )
  assert.deepEqual(agentHears(json.agent(), frame(0x40, '{"reason":0}')), [])
})

test('metrics carry infinity as "+Inf", and help may be absent or null', () => {
  const report = {
    agent_id: 'a',
    timestamp_ms: 1,
    interval_ms: 2,
    counters: [{ name: 'n', help: null, labels: {}, value: 3 }],
    histograms: [
      {
        name: 'h',
        sum: 1.5,
        count: 2,
        buckets: [
          { le: 0.5, count: 1 },
          { le: '+Inf', count: 2 },
          { le: 'Inf', count: 2 },
        ],
      },
    ],
  }
  const told = controlled(0x31, report)
  const infinite = { le: Number.POSITIVE_INFINITY, count: 2 }
  assert.deepEqual(withoutUndefined(told[1]), {
    agentId: 'a',
    timestampMs: 1,
    intervalMs: 2,
    counters: [{ name: 'n', labels: {}, value: 3 }],
    gauges: [],
    histograms: [
      { name: 'h', labels: {}, sum: 1.5, count: 2, buckets: [{ le: 0.5, count: 1 }, infinite, infinite] },
    ],
  })
  const bytes = written((out) =>
    json
      .agent()
      .writeMetrics(
        {
          agentId: 'a',
          timestampMs: 1,
          intervalMs: 1,
          counters: [],
          gauges: [],
          histograms: [{ name: 'h', labels: {}, sum: 1, count: 1, buckets: [infinite] }],
        },
        out,
      ),
  )
  assert.ok(bytes.includes('"le":"+Inf"'))
})

test('numbers that are no unsigned integers are written as the nearest one', () => {
  const event = {
    kind: 'request-complete',
    correlationId: 'c1',
    status: 200,
    durationMs: 12.7,
    requestBodySize: -1,
    responseBodySize: Number.NaN,
    upstreamAttempts: 1,
  } as const
  for (const pair of PAIRS) {
    const [told] = agentHears(
      pair.agent(),
      written((out) => pair.proxy().writeEvent(event, out)),
    )
    assert.deepEqual(withoutUndefined({ ...(told![1] as object), fromCache: undefined }), {
      ...event,
      durationMs: 12,
      requestBodySize: 0,
      responseBodySize: 0,
    })
  }
})

const FAILED = { protocol_version: 0, success: false, error: 'no', capabilities: null }

test('a handshake answer may lack capabilities and their keys, which take the defaults', () => {
  const [, failed] = controlled(0x02, FAILED)
  assert.deepEqual(withoutUndefined(failed), {
    protocolVersion: 0,
    success: false,
    error: 'no',
    encoding: 'json',
    capabilities: withoutUndefined({
      protocolVersion: 0,
      agentId: '',
      name: '',
      version: '',
      supportedEvents: ['request-headers'],
      features: DEFAULT_FEATURES,
      limits: DEFAULT_LIMITS,
      health: DEFAULT_HEALTH_REPORTING,
    }),
  })
  const partial = {
    protocol_version: 2,
    success: true,
    capabilities: { agent_id: 'a', features: { websocket: true }, limits: { max_concurrency: 7 } },
  }
  const { capabilities } = controlled(0x02, partial)[1] as { capabilities: AgentCapabilities }
  assert.deepEqual(capabilities.features, { ...DEFAULT_FEATURES, websocket: true })
  assert.equal(capabilities.limits.maxConcurrency, 7)
  assert.equal(capabilities.limits.maxBodySize, DEFAULT_LIMITS.maxBodySize)
})

test('a failed handshake still carries every capability key, and configure is event code 8', () => {
  const capabilities: AgentCapabilities = {
    protocolVersion: 2,
    agentId: 'a',
    name: 'n',
    version: '1',
    supportedEvents: ['request-headers', 'configure'],
    features: DEFAULT_FEATURES,
    limits: DEFAULT_LIMITS,
    health: DEFAULT_HEALTH_REPORTING,
  }
  const bytes = written((out) =>
    json
      .agent()
      .writeHandshakeResponse(
        { protocolVersion: 0, capabilities, success: false, error: 'no', encoding: 'json' },
        out,
      ),
  )
  const sent = JSON.parse(bytes.toString('utf8', 5)) as { capabilities: Record<string, object> }
  assert.deepEqual(sent.capabilities['supported_events'], [1, 8])
  assert.deepEqual(Object.keys(sent.capabilities['features']!).length, 9)
  for (const key of ['agent_id', 'name', 'version', 'limits']) assert.ok(key in sent.capabilities, key)
})

test('event codes 0 and 8 are configure, unknown ones are ignored', () => {
  const told = controlled(0x02, {
    protocol_version: 2,
    success: true,
    capabilities: { supported_events: [1, 0, 8, 16, 17, 99, -1, 'x'] },
  })
  assert.deepEqual((told[1] as { capabilities: AgentCapabilities }).capabilities.supportedEvents, [
    'request-headers',
    'configure',
  ])
})

test('unknown encodings that a proxy offers are left out; an unknown one that an agent chose breaks the handshake', () => {
  const offer = {
    supported_versions: [2],
    proxy_id: 'p',
    proxy_version: '1',
    supported_encodings: ['cbor', 'msgpack', 'json'],
  }
  assert.deepEqual((asked(0x01, offer)[1] as { supportedEncodings: unknown }).supportedEncodings, [
    'msgpack',
    'json',
  ])
  assert.throws(() => controlled(0x02, { protocol_version: 2, success: true, encoding: 'cbor' }), WeirError)
  assert.throws(
    () => asked(0x01, '{'),
    (thrown: WeirError) => thrown.code === 'PROTOCOL_ERROR',
  )
})

test('registrations and their answers cross, with and without a token', () => {
  const capabilities: AgentCapabilities = {
    protocolVersion: 2,
    agentId: 'a',
    name: 'n',
    version: '1',
    supportedEvents: ['request-headers'],
    features: DEFAULT_FEATURES,
    limits: DEFAULT_LIMITS,
    health: DEFAULT_HEALTH_REPORTING,
  }
  const request = {
    protocolVersion: 2,
    agentId: 'a',
    capabilities,
    authToken: 'secret',
    metadata: { zone: 1 },
  }
  const { authToken: _, metadata: __, ...bare } = request
  for (const one of [request, bare]) {
    const told = proxyHears(
      json.proxy(),
      written((out) => json.agent().writeRegistration(one, out)),
    )
    assert.deepEqual(withoutUndefined(told), [['registration', withoutUndefined(one)]])
  }
  const answer = { success: false, error: 'no', proxyId: 'p', proxyVersion: '1', connectionId: '' }
  assert.deepEqual(
    agentHears(
      json.agent(),
      written((out) => json.proxy().writeRegistrationResponse(answer, out)),
    ),
    [['registration-response', answer]],
  )
  assert.throws(
    () => written((out) => grpc.agent().writeRegistration(request, out)),
    (thrown: WeirError) => thrown.code === 'INVALID_ARGUMENT',
  )
})

test('the id of an event that does not decode is salvaged', () => {
  const cases: readonly [string, string][] = [
    ['{"correlation_id":"c1"}', 'c1'],
    ['{"correlation_id":"c1","correlation_id":null}', 'c1'],
    ['{"correlation_id":"","correlation_id":"c2"}', 'c2'],
    ['{"metadata":{"correlation_id":"c3"},"method":1}', 'c3'],
    ['{"metadata":{"x":{"correlation_id":"no"},"correlation_id":"c\\u0034"}}', 'c4'],
    ['{"correlation_id":"c5","method":"GET","uri":', 'c5'],
    ['{"headers":{"a":["\\"correlation_id\\":\\"no\\""]},"correlation_id":"c6"', 'c6'],
    ['{"config":{"correlation_id":"no"}}', ''],
    ['["c1"]', ''],
    ['{"correlation_id":["c1"]}', ''],
    ['{"correlation_id":7}', ''],
    ['nothing', ''],
  ]
  for (const [payload, id] of cases) {
    assert.deepEqual(asked(0x10, payload).slice(0, 2), ['malformed-event', id], payload)
  }
})

test('the id of a MessagePack or gRPC event that does not decode is salvaged', () => {
  const packed = (hex: string): Told =>
    agentHears(msgpack.agent(), frame(0x12, Buffer.from(hex.replaceAll(' ', ''), 'hex')))[0]!
  const id = `ae${Buffer.from('correlation_id').toString('hex')}`
  const metadata = `a8${Buffer.from('metadata').toString('hex')}`
  assert.equal(packed(`82 ${id} a0 ${id} a2 6331`)[1], 'c1')
  assert.equal(packed(`82 ${metadata} 81 ${id} a2 6332 a1 61 c1`)[1], 'c2')
  assert.equal(packed(`83 ${id} a2 6333 a1 61`)[1], 'c3')
  assert.equal(packed('91 a2 6331')[1], '')
  const broken = ProxyToAgent.encode({
    request_body_chunk: { correlation_id: 'c4', data: Buffer.from('hi') },
  })
  const [told] = agentHears(grpc.agent(), message(broken.subarray(0, broken.length - 1)))
  assert.deepEqual(told!.slice(0, 2), ['malformed-event', 'c4'])
})

test('body data that is not whole base64 is malformed: a gap would hide bytes from the agent', () => {
  const chunk = { correlation_id: 'c1', is_last: true }
  for (const data of ['a', 'aGk*', 'aG k=', 'aGk==x', 7, null]) {
    assert.equal(asked(0x11, { ...chunk, data })[0], 'malformed-event', JSON.stringify(data))
  }
  const [, event] = asked(0x11, { ...chunk, data: '' })
  assert.deepEqual(withoutUndefined(event), {
    kind: 'request-body-chunk',
    correlationId: 'c1',
    data: Buffer.alloc(0),
    isLast: true,
    chunkIndex: 0,
    bytesTransferred: 0,
  })
})

test('audit values cross gRPC as they were, without quotes where that is the same, and quoted ones are read', () => {
  const custom = {
    plain: 'text',
    number: '5',
    quoted: '"q"',
    real: 5,
    list: [1, 'a'],
    none: null,
    word: 'true',
  }
  const bytes = written((out) =>
    grpc
      .agent()
      .writeReply(
        reply('c1', { kind: 'allow' }, { audit: { tags: [], ruleIds: [], reasonCodes: [], custom } }),
        out,
      ),
  )
  const sent = (
    AgentToProxy.decode(bytes.subarray(5))['response'] as { audit: { custom: Record<string, string> } }
  ).audit.custom
  assert.equal(sent['plain'], 'text')
  assert.equal(sent['real'], '5')
  const [told] = proxyHears(grpc.proxy(), bytes)
  assert.deepEqual((told![1] as AgentReply).audit.custom, custom)
  const quoted = AgentToProxy.encode({
    response: { correlation_id: 'c1', allow: {}, audit: { custom: { a: '"text"' } } },
  })
  assert.deepEqual((proxyHears(grpc.proxy(), message(quoted))[0]![1] as AgentReply).audit.custom, {
    a: 'text',
  })
})

test('header names come out lower case, repeated ones keep their values in order, whatever they are called', () => {
  const headers = [
    'host',
    'a',
    'set-cookie',
    '1',
    '__proto__',
    'x',
    'set-cookie',
    '2',
    'constructor',
    'y',
    'set-cookie',
    '3',
  ]
  const grouped = [
    'host',
    'a',
    'set-cookie',
    '1',
    'set-cookie',
    '2',
    'set-cookie',
    '3',
    '__proto__',
    'x',
    'constructor',
    'y',
  ]
  for (const pair of PAIRS) {
    const event = { kind: 'response-headers', correlationId: 'c1', status: 200, headers } as const
    const asRequest = {
      kind: 'request-headers',
      correlationId: 'c1',
      metadata: { requestId: '', clientIp: '', clientPort: 0, protocol: '', timestampMs: 0 },
      method: '',
      uri: '',
      headers,
    } as const
    const bytes = written((out) => {
      pair.proxy().writeEvent(asRequest, out)
      if (pair.name !== 'msgpack') pair.proxy().writeEvent(event, out)
    })
    for (const told of agentHears(pair.agent(), bytes)) {
      assert.deepEqual((told[1] as typeof event).headers, pair.name === 'grpc' ? headers : grouped, pair.name)
    }
  }
  const upper = asked(0x12, {
    correlation_id: 'c1',
    status: 200,
    headers: { 'X-Upper': ['V'], single: 'bare' },
  })
  assert.deepEqual((upper[1] as { headers: unknown }).headers, ['x-upper', 'V', 'single', 'bare'])
})

test('lists of a hundred header pairs with repeats cross like short ones', () => {
  const headers = Array.from({ length: 120 }, (_, n) => [`x-${n % 60}`, `${n}`]).flat()
  for (const pair of PAIRS) {
    const event = { kind: 'response-headers', correlationId: 'c1', status: 200, headers } as const
    const [told] = agentHears(
      pair.agent(),
      written((out) => pair.proxy().writeEvent(event, out)),
    )
    const heard = (told![1] as typeof event).headers
    assert.equal(heard.length, headers.length)
    const first = heard.flatMap((name, i) => (i % 2 === 0 && name === 'x-7' ? [heard[i + 1]] : []))
    assert.deepEqual(first, ['7', '67'])
  }
})
