import fc from 'fast-check'
import type {
  AgentCapabilities,
  ConfigUpdate,
  HealthReport,
  MetricsReport,
} from '../../../src/core/agent-messages.ts'
import { CANCEL_REASONS } from '../../../src/core/agent-messages.ts'
import {
  type AgentEvent,
  type BodyChunkEvent,
  type ConfigureEvent,
  EVENT_KINDS,
  type GuardrailInspectEvent,
  type HeaderList,
  type RequestCompleteEvent,
  type RequestHeadersEvent,
  type ResponseHeadersEvent,
  type WebSocketFrameEvent,
} from '../../../src/core/event.ts'
import type { AgentReply, Audit, BodyMutation, Decision, HeaderOp } from '../../../src/core/reply.ts'
import type { HandshakeRequest, HandshakeResponse } from '../../../src/wire/codec.ts'

const AWKWARD = [
  '',
  '"',
  '\\',
  '\\ud800',
  '\u0000\u001f',
  '\u2028',
  'é',
  '漢字',
  '😀',
  'x'.repeat(40),
  'ü'.repeat(300),
  '__proto',
]

/** Text that every encoding carries unchanged: all of Unicode without lone surrogates. */
export const text = (): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 60 }) },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
    { weight: 1, arbitrary: fc.constantFrom(...AWKWARD) },
  )
/** Any string that a program can hold, lone surrogates included. */
export const anyText = (): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 })
    .map((units) => String.fromCharCode(...units))

export const count = (): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.maxSafeNat(),
    fc.constantFrom(0xff, 0x100, 0xffff, 0x1_0000, 2 ** 32 - 1, 2 ** 32),
  )
export const count32 = (): fc.Arbitrary<number> =>
  fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff }))
export const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(of, { nil: undefined })
const instant = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 4_102_444_800_000 })

const headerName = (): fc.Arbitrary<string> =>
  fc.oneof(
    fc.constantFrom('host', 'user-agent', 'accept', 'x-forwarded-for', 'cookie', 'content-type'),
    fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
  )

/** Names in one run each, because grouping by name is all that a map of values can keep. */
export const headers = (): fc.Arbitrary<HeaderList> =>
  fc
    .uniqueArray(fc.tuple(headerName(), fc.array(text(), { minLength: 1, maxLength: 3 })), {
      selector: ([name]) => name,
      maxLength: 20,
    })
    .map((entries) => entries.flatMap(([name, values]) => values.flatMap((value) => [name, value])))

const bytes = (): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength: 400 }).map((data) => Buffer.from(data))

export const textMap = (): fc.Arbitrary<Record<string, string>> =>
  fc
    .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_]{1,12}$/), text()), {
      selector: ([key]) => key,
      maxLength: 5,
    })
    .map((entries) => Object.fromEntries(entries))

/** JSON values as JSON gives them back, numbers that are not integers left out for their float forms. */
const plainJson = (): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
      text(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), tie('value')), {
          selector: ([key]) => key,
          maxLength: 4,
        })
        .map((entries) => Object.fromEntries(entries)),
    ),
  })).value

export const requestHeaders = (): fc.Arbitrary<RequestHeadersEvent> =>
  fc.record({
    kind: fc.constant('request-headers' as const),
    correlationId: text(),
    metadata: fc.record({
      requestId: text(),
      clientIp: fc.oneof(fc.ipV4(), fc.ipV6()),
      clientPort: fc.integer({ min: 0, max: 0xffff }),
      serverName: maybe(text()),
      protocol: fc.constantFrom('HTTP/1.1', 'HTTP/2'),
      tlsVersion: maybe(text()),
      tlsCipher: maybe(text()),
      routeId: maybe(text()),
      upstreamId: maybe(text()),
      timestampMs: instant(),
      traceparent: maybe(text()),
    }),
    method: fc.constantFrom('GET', 'POST', 'PATCH'),
    uri: text(),
    headers: headers(),
  })

export const bodyChunk = (): fc.Arbitrary<BodyChunkEvent> =>
  fc.record({
    kind: fc.constantFrom('request-body-chunk' as const, 'response-body-chunk' as const),
    correlationId: text(),
    data: bytes(),
    isLast: fc.boolean(),
    totalSize: maybe(count()),
    chunkIndex: count32(),
    bytesTransferred: count(),
  })

export const responseHeaders = (): fc.Arbitrary<ResponseHeadersEvent> =>
  fc.record({
    kind: fc.constant('response-headers' as const),
    correlationId: text(),
    status: fc.integer({ min: 0, max: 999 }),
    headers: headers(),
  })

const requestComplete = (): fc.Arbitrary<RequestCompleteEvent> =>
  fc.record({
    kind: fc.constant('request-complete' as const),
    correlationId: text(),
    status: fc.integer({ min: 0, max: 999 }),
    durationMs: count(),
    requestBodySize: count(),
    responseBodySize: count(),
    upstreamAttempts: count32(),
    upstream: maybe(text()),
    fromCache: fc.boolean(),
    error: maybe(text()),
  })

const webSocketFrame = (): fc.Arbitrary<WebSocketFrameEvent> =>
  fc.record({
    kind: fc.constant('websocket-frame' as const),
    correlationId: text(),
    opcode: fc.constantFrom('continuation', 'text', 'binary', 'close', 'ping', 'pong'),
    data: bytes(),
    clientToServer: fc.boolean(),
    frameIndex: count(),
    fin: fc.boolean(),
    routeId: maybe(text()),
    clientIp: text(),
  })

const guardrail = (): fc.Arbitrary<GuardrailInspectEvent> =>
  fc.record({
    kind: fc.constant('guardrail-inspect' as const),
    correlationId: text(),
    inspectionType: fc.constantFrom('prompt_injection', 'pii_detection'),
    content: text(),
    contentType: fc.constantFrom('prompt', 'response', 'system', 'tool_call', 'tool_result'),
    model: maybe(text()),
    categories: fc.array(text(), { maxLength: 4 }),
    routeId: maybe(text()),
    metadata: textMap(),
  })

export const configure = (): fc.Arbitrary<ConfigureEvent> =>
  fc.record({
    kind: fc.constant('configure' as const),
    correlationId: text(),
    config: plainJson(),
    configVersion: maybe(text()),
    isInitial: fc.boolean(),
  })

export const agentEvent = (): fc.Arbitrary<AgentEvent> =>
  fc.oneof<fc.Arbitrary<AgentEvent>[]>(
    requestHeaders(),
    bodyChunk(),
    responseHeaders(),
    requestComplete(),
    webSocketFrame(),
    guardrail(),
    configure(),
  )

const status = (): fc.Arbitrary<number> => fc.integer({ min: 100, max: 599 })

/** Block headers keep one value of each name. */
const singleHeaders = (): fc.Arbitrary<HeaderList> =>
  fc
    .uniqueArray(fc.tuple(headerName(), text()), { selector: ([name]) => name, minLength: 1, maxLength: 5 })
    .map((entries) => entries.flat())

export const decision = (): fc.Arbitrary<Decision> =>
  fc.oneof<fc.Arbitrary<Decision>[]>(
    fc.constant({ kind: 'allow' }),
    fc.record({
      kind: fc.constant('block' as const),
      status: status(),
      body: maybe(text()),
      headers: maybe(singleHeaders()),
    }),
    fc.record({ kind: fc.constant('redirect' as const), url: text(), status: status() }),
    fc.record({ kind: fc.constant('challenge' as const), challengeType: text(), params: textMap() }),
  )

const headerOp = (): fc.Arbitrary<HeaderOp> =>
  fc.oneof<fc.Arbitrary<HeaderOp>[]>(
    fc.record({ op: fc.constantFrom('set' as const, 'add' as const), name: headerName(), value: text() }),
    fc.record({ op: fc.constant('remove' as const), name: headerName() }),
  )

const audit = (): fc.Arbitrary<Audit> =>
  fc.record({
    tags: fc.array(text(), { maxLength: 3 }),
    ruleIds: fc.array(text(), { maxLength: 3 }),
    confidence: maybe(fc.float({ min: 0, max: 1, noNaN: true }).map((number) => number + 0)),
    reasonCodes: fc.array(text(), { maxLength: 3 }),
    custom: fc
      .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,8}$/), plainJson()), {
        selector: ([key]) => key,
        maxLength: 3,
      })
      .map((entries) => Object.fromEntries(entries)),
  })

const mutation = (): fc.Arbitrary<BodyMutation> => fc.record({ data: maybe(bytes()), chunkIndex: count32() })

export const agentReply = (): fc.Arbitrary<AgentReply> =>
  fc.record({
    correlationId: text(),
    decision: decision(),
    requestHeaders: fc.array(headerOp(), { maxLength: 5 }),
    responseHeaders: fc.array(headerOp(), { maxLength: 5 }),
    routingMetadata: textMap(),
    audit: audit(),
    needsMore: fc.boolean(),
    requestBodyMutation: maybe(mutation()),
    responseBodyMutation: maybe(mutation()),
    websocketDecision: maybe(
      fc.oneof(
        fc.constant({ kind: 'allow' as const }),
        fc.constant({ kind: 'drop' as const }),
        fc.record({
          kind: fc.constant('close' as const),
          code: fc.integer({ min: 0, max: 0xffff }),
          reason: text(),
        }),
      ),
    ),
    processingTimeMs: maybe(count()),
  })

export const capabilities = (): fc.Arbitrary<AgentCapabilities> =>
  fc.record({
    protocolVersion: fc.constant(2),
    agentId: text(),
    name: text(),
    version: text(),
    supportedEvents: fc.uniqueArray(fc.constantFrom(...EVENT_KINDS), { minLength: 1 }),
    features: fc.record({
      streamingBody: fc.boolean(),
      websocket: fc.boolean(),
      guardrails: fc.boolean(),
      configPush: fc.boolean(),
      metricsExport: fc.boolean(),
      concurrentRequests: count32(),
      cancellation: fc.boolean(),
      flowControl: fc.boolean(),
      healthReporting: fc.boolean(),
    }),
    limits: fc.record({
      maxBodySize: count(),
      maxConcurrency: count32(),
      preferredChunkSize: count(),
      maxMemory: maybe(count()),
      maxProcessingTimeMs: maybe(count()),
    }),
    health: fc.record({
      reportIntervalMs: count32(),
      includeLoadMetrics: fc.boolean(),
      includeResourceMetrics: fc.boolean(),
    }),
  })

/** gRPC has no encodings to offer, so `encodings` is empty there. */
export const handshakeRequest = (
  encodings: HandshakeRequest['supportedEncodings'],
): fc.Arbitrary<HandshakeRequest> =>
  fc.record({
    supportedVersions: fc.array(count32(), { maxLength: 3 }),
    proxyId: text(),
    proxyVersion: text(),
    config: maybe(fc.record({ level: count32(), text: text() })),
    supportedEncodings: fc.constant(encodings),
  })

export const handshakeResponse = (): fc.Arbitrary<HandshakeResponse> =>
  fc.record({
    protocolVersion: fc.constant(2),
    capabilities: capabilities(),
    success: fc.boolean(),
    error: maybe(text()),
    encoding: fc.constant('json' as const),
  })

const float32 = (): fc.Arbitrary<number> =>
  fc.float({ min: 0, max: 1e6, noNaN: true }).map((number) => number + 0)

export const healthReport = (): fc.Arbitrary<HealthReport> =>
  fc.record({
    agentId: text(),
    state: fc.constantFrom('healthy', 'degraded', 'draining', 'unhealthy'),
    message: maybe(text()),
    load: maybe(
      fc.record({
        inFlight: count32(),
        queueDepth: count32(),
        avgLatencyMs: float32(),
        p50LatencyMs: float32(),
        p95LatencyMs: float32(),
        p99LatencyMs: float32(),
        requestsProcessed: count(),
        requestsRejected: count(),
        requestsTimedOut: count(),
      }),
    ),
    resources: maybe(
      fc
        .record({ cpu_percent: float32(), memory_bytes: count(), open_fds: count32() }, { requiredKeys: [] })
        .map((of) => ({ ...of })),
    ),
    validUntilMs: maybe(count()),
    timestampMs: count(),
    disabledFeatures: maybe(fc.array(text(), { minLength: 1, maxLength: 3 })),
    timeoutMultiplier: maybe(fc.float({ min: 1, max: 10, noNaN: true })),
    drainEtaMs: maybe(count()),
    unhealthyReason: maybe(text()),
    recoverable: maybe(fc.constant(true)),
  })

const sample = {
  name: fc.stringMatching(/^[a-z_]{1,20}$/),
  help: maybe(fc.stringMatching(/^[a-z ]{1,20}$/)),
  labels: textMap(),
}

export const metricsReport = (): fc.Arbitrary<MetricsReport> =>
  fc.record({
    agentId: text(),
    timestampMs: count(),
    intervalMs: count(),
    counters: fc.array(fc.record({ ...sample, value: count() }), { maxLength: 3 }),
    gauges: fc.array(fc.record({ ...sample, value: float32() }), { maxLength: 3 }),
    histograms: fc.array(
      fc.record({
        ...sample,
        sum: float32(),
        count: count(),
        buckets: fc.array(
          fc.record({ le: fc.oneof(float32(), fc.constant(Number.POSITIVE_INFINITY)), count: count() }),
          { maxLength: 4 },
        ),
      }),
      { maxLength: 3 },
    ),
  })

export const configUpdate = (): fc.Arbitrary<ConfigUpdate> =>
  fc.oneof<fc.Arbitrary<ConfigUpdate>[]>(
    fc.constant({ type: 'request-reload' }),
    fc.record({
      type: fc.constant('rule-update' as const),
      ruleSet: text(),
      rules: fc.array(
        fc.record({
          id: text(),
          priority: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
          definition: plainJson(),
          enabled: fc.boolean(),
          description: maybe(text()),
          tags: fc.array(text(), { maxLength: 3 }),
        }),
        { maxLength: 3 },
      ),
      removeRules: fc.array(text(), { maxLength: 3 }),
    }),
    fc.record({
      type: fc.constant('list-update' as const),
      listId: text(),
      add: fc.array(text(), { maxLength: 3 }),
      remove: fc.array(text(), { maxLength: 3 }),
    }),
    fc.record({ type: fc.constant('restart-required' as const), reason: text(), gracePeriodMs: count() }),
    fc.record({ type: fc.constant('config-error' as const), error: text(), field: maybe(text()) }),
  )

export const cancelReason = (): fc.Arbitrary<(typeof CANCEL_REASONS)[number]> =>
  fc.constantFrom(...CANCEL_REASONS)
