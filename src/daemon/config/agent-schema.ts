import { z } from 'zod'
import { STRATEGY_NAMES } from '../../policy/picker.ts'
import { parseAgentEndpoint } from './addresses.ts'
import { choice, count, durationMs, expected, flag, list, number, parsed, section, text } from './fields.ts'

/** Events as the configuration names them; a body is one word for its chunks. */
export const EVENT_NAMES = [
  'request-headers',
  'request-body',
  'response-headers',
  'response-body',
  'request-complete',
  'websocket-frame',
  'guardrail-inspect',
] as const
export type EventName = (typeof EVENT_NAMES)[number]

const SHA256 = /^[0-9a-f]{64}$/
const tokenHash = z
  .string({ error: 'expected the SHA-256 of a token as 64 hex digits' })
  .toLowerCase()
  .regex(SHA256, {
    error: 'expected the SHA-256 of a token as 64 hex digits; make one: printf %s "$TOKEN" | sha256sum',
  })
  .meta({ description: 'SHA-256 of the token that the agent registers with, 64 hex digits.' })

const reverse = section(
  {
    tokenSha256: tokenHash.optional(),
    tokenSha256s: z
      .array(tokenHash, { error: 'expected a list of SHA-256 hashes, 64 hex digits each' })
      .min(1, { error: 'expected at least one SHA-256 hash' })
      .meta({ description: 'Several token hashes that are valid at once, so that a token can be rotated.' })
      .optional(),
    clientCertificateSan: text(
      'a subject alternative name',
      'waf.agents.example',
      'Name that the client certificate must carry (tls:// listeners with a client CA).',
    ).optional(),
    maxConnections: count(1, 1024, 4, 'Connections the agent may hold at once. Default 4.').optional(),
    allowAnonymous: flag(
      'Let anyone who reaches the listener register as this agent. Default false.',
    ).optional(),
  },
  'The agent dials in; how it proves who it is.',
)

const limit = section(
  {
    name: text(
      'a name',
      'per-client',
      'Names the limit in answers, metrics and the store: kept, spent tokens are kept. Default limit.',
    ).optional(),
    ratePerSecond: number(0, 1e9, 100, 'Tokens that come back per second; 0: the burst is all there is.'),
    burst: number(1, 1e12, 200, 'Tokens a full bucket holds. Default: one second of the rate.').optional(),
    key: z
      .string({ error: expected('agent, route, client-ip, session or header:NAME', 'client-ip') })
      .regex(/^(agent|route|client-ip|session|header:[a-z0-9-]+)$/, {
        error: expected('agent, route, client-ip, session or header:NAME (lower case)', 'header:x-api-key'),
      })
      .meta({
        description: 'Who shares a bucket: all requests to the agent, or those of one client. Default agent.',
        examples: ['client-ip'],
      })
      .optional(),
    cost: choice(['event', 'byte'], 'What one token pays for. Default event.').optional(),
    shadow: flag('Decide and count, but let everything pass. Default false.').optional(),
  },
  'Rate limit in front of the agent: a token bucket per key, kept over restarts.',
)

const body = section(
  {
    mode: choice(
      ['stream', 'buffer'],
      'stream: ask about each chunk before it goes on; buffer: hold the whole body and ask once. Default stream.',
    ).optional(),
    maxBytes: count(1, 1_073_741_824, 1_048_576, 'Bytes to hold or inspect. Default 1,048,576.').optional(),
    onTooLarge: choice(
      ['reject', 'skip'],
      'A body over maxBytes: refuse with 413, or pass the rest on unseen (counted as a bypass). Default reject.',
    ).optional(),
    aheadBytes: count(
      0,
      16_777_216,
      262_144,
      'Bytes of one body that may be asked about beyond the piece whose verdict is awaited; 0: one piece at a time. Default 262,144.',
    ).optional(),
  },
  'How bodies are shown to the agent.',
)

const tls = section(
  {
    ca: text(
      'a path to a PEM file',
      './ca.pem',
      'CA certificates to trust instead of the system ones.',
    ).optional(),
    cert: text('a path to a PEM file', './client.pem', 'Client certificate.').optional(),
    key: text('a path to a PEM file', './client.key', 'Private key of the client certificate.').optional(),
    insecureSkipVerify: flag('Accept any server certificate. For trials only. Default false.').optional(),
  },
  'TLS towards a grpcs:// endpoint.',
)

const breaker = section(
  {
    consecutiveFailures: count(1, 1000, 5, 'Failures in a row that open it. Default 5.').optional(),
    failureShare: number(0.01, 1, 0.5, 'Share of failures that opens it. Default 0.5.').optional(),
    minimumVolume: count(
      1,
      1_000_000,
      20,
      'Events below which the share says nothing. Default 20.',
    ).optional(),
    windowMs: durationMs(10_000, 'Time over which the share is taken. Default 10,000.').optional(),
    openMs: durationMs(5000, 'How long it stays open before a trial. Default 5,000.').optional(),
    maxOpenMs: durationMs(60_000, 'Longest pause after trials that failed again. Default 60,000.').optional(),
  },
  'Stops asking an agent that keeps failing.',
)

const reconnect = section(
  {
    initialMs: durationMs(100, 'First pause after a dial that failed. Default 100.').optional(),
    maxMs: durationMs(2000, 'Longest pause. Default 2,000.').optional(),
  },
  'Pauses between dials; they double and are jittered.',
)

const queue = section(
  {
    maxWaiters: count(
      0,
      1_000_000,
      1024,
      'Events that may wait for a free connection. Default 1,000.',
    ).optional(),
  },
  'Events that find every connection busy.',
)

const sessions = section(
  {
    idleTtlMs: number(
      0,
      2_147_483_647,
      300_000,
      'Time without use after which a session ends; 0: never. Default 300,000.',
    ).optional(),
    maxSessions: count(
      0,
      10_000_000,
      100_000,
      'Sessions kept; the one unused longest gives way. 0: none, requests with a key are balanced like all others. Default 100,000.',
    ).optional(),
  },
  'Sticky sessions: requests with the same session key keep going to the same connection (see sessionKey).',
)

/** Options an agent has and `defaults` may preset for all of them. */
export const sharedShape = {
  events: list(
    choice(EVENT_NAMES, 'An event the agent is asked about.'),
    'event names',
    '[request-headers, request-body]',
    'Events the agent is asked about. Default [request-headers].',
  ).optional(),
  connections: count(1, 256, 4, 'Connections held to a dialed agent. Default 4.').optional(),
  balance: choice(STRATEGY_NAMES, 'How a connection is picked. Default round-robin.').optional(),
  timeoutMs: durationMs(1000, 'Time an agent has for one event, waiting included. Default 1,000.').optional(),
  maxTimeoutMultiplier: number(
    1,
    10,
    2,
    'Largest factor by which an agent that reports itself degraded may stretch timeoutMs; 1: not at all. Default 2.',
  ).optional(),
  connectTimeoutMs: durationMs(5000, 'Time for dialing and the handshake. Default 5,000.').optional(),
  onFailure: choice(
    ['closed', 'open'],
    'No usable answer: closed denies the request, open goes on without this agent. Default closed.',
  ).optional(),
  onPause: choice(
    ['closed', 'open', 'wait'],
    'The agent asked for a pause: deny, go on without it, or wait. Default closed.',
  ).optional(),
  hedgeAfterMs: durationMs(
    50,
    'A header event without an answer for this long is asked on a second connection too; the agent may see it twice. Default: never.',
  ).optional(),
  limit: limit.optional(),
  limits: list(
    limit,
    'limits',
    '[{ name: all, ratePerSecond: 5000 }, { name: client, ratePerSecond: 50, key: client-ip }]',
    'Several limits at once, each with a name of its own; an event must pass all of them. In place of limit.',
  ).optional(),
  onLimit: choice(
    ['deny', 'skip'],
    'What a limit or a ban does. deny: answer 429 or 403; skip: go on without this agent (counted as a bypass). Default deny.',
  ).optional(),
  flowWaitMs: durationMs(100, 'How long onPause: wait waits at most. Default 100.').optional(),
  maxConcurrentPerConnection: count(
    1,
    32_768,
    100,
    'Events at once on one connection; an agent may announce less. Default 100.',
  ).optional(),
  maxBurst: count(
    1,
    1000,
    32,
    'Events of one moment that may follow each other onto one connection and then leave in one write. 1: each event is balanced by itself. Default 32.',
  ).optional(),
  queue: queue.optional(),
  breaker: breaker.optional(),
  reconnect: reconnect.optional(),
  sessions: sessions.optional(),
  slowStartMs: durationMs(
    10_000,
    'Time in which a new connection reaches its full share of traffic. Default 10,000.',
  ).optional(),
  heartbeatMs: durationMs(
    10_000,
    'A connection that is silent for this long is pinged; two missed pings end it. Default 10,000.',
  ).optional(),
  stallMs: durationMs(
    10_000,
    'A connection with events waiting and not one reply for this long is left alone until it answers. Default: 10,000, or twice what timeoutMs may be stretched to.',
  ).optional(),
  maxConnectionAgeMs: durationMs(
    3_600_000,
    'Age at which a connection is replaced by a new one. Default: never.',
  ).optional(),
  maxConnectionUses: count(
    1,
    1_000_000_000,
    1_000_000,
    'Events after which a connection is replaced by a new one. Default: never.',
  ).optional(),
  maxEjectedShare: number(
    0,
    1,
    0.5,
    'Largest share of the connections that may be kept out for their failures at once. Default 0.5.',
  ).optional(),
  body: body.optional(),
}

export const agentSchema = section(
  {
    endpoint: parsed(
      parseAgentEndpoint,
      'grpc://host:port, grpcs://host:port, unix:path, v1:unix:path, or http:// and https:// for gRPC too',
      'grpc://127.0.0.1:50061',
      'Where the agent is dialed.',
    ).optional(),
    reverse: reverse.optional(),
    ...sharedShape,
    config: z
      .unknown()
      .meta({ description: "The agent's own configuration, pushed to it on each connection." })
      .optional(),
    tls: tls.optional(),
    encodings: list(
      choice(['msgpack', 'json'], 'An encoding of Unix-socket frames.'),
      'encodings',
      '[msgpack, json]',
      'Encodings offered on Unix sockets, best first. Default [msgpack, json].',
    ).optional(),
    implementation: choice(
      ['http2', 'grpc-js'],
      'What carries gRPC: our own path on HTTP/2, or grpc-js. Default http2.',
    ).optional(),
  },
  'One agent.',
)

export const defaultsSchema = section(sharedShape, 'Presets for all agents.')
