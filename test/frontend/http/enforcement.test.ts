import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../../src/core/errors.ts'
import type { EventKind } from '../../../src/core/event.ts'
import type { Decision } from '../../../src/core/reply.ts'
import type { BodyPlan } from '../../../src/proxy/chain.ts'
import type { Verdict } from '../../../src/proxy/verdict.ts'
import { failure } from '../../support/scripted-dispatcher.ts'
import { raw, rig } from './rig.ts'

/* The table of README.md: phase x decision x head sent -> what the client gets. */

const STREAM: BodyPlan = { mode: 'stream', maxBytes: 1 << 20, onTooLarge: 'reject' }
const BUFFER: BodyPlan = { mode: 'buffer', maxBytes: 1 << 20, onTooLarge: 'reject' }
const PHASES = [
  ['request-headers', undefined],
  ['request-body-chunk', STREAM],
  ['request-body-chunk', BUFFER],
  ['response-headers', undefined],
  ['response-body-chunk', STREAM],
  ['response-body-chunk', BUFFER],
] as const satisfies readonly (readonly [EventKind, BodyPlan | undefined])[]

const BLOCK: Decision = {
  kind: 'block',
  status: 451,
  body: 'not here',
  headers: [
    'X-Rule',
    '42',
    'Content-Length',
    '999',
    'Transfer-Encoding',
    'chunked',
    'Connection',
    'x-rule',
    'Keep-Alive',
    'timeout=1',
    'Upgrade',
    'h2c',
    'X-Correlation-Id',
    'theirs',
  ],
}

interface Cell {
  readonly name: string
  readonly verdict: Partial<Verdict>
  readonly status: number
  readonly headers?: Readonly<Record<string, string | null>>
  readonly body?: string | RegExp
}

const CELLS: readonly Cell[] = [
  {
    name: 'a block gives its status, its text and its headers without framing',
    verdict: { decision: BLOCK, decidedBy: 'waf' },
    status: 451,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'x-rule': '42',
      'content-length': '8',
      'x-correlation-id': null,
      upgrade: null,
    },
    body: 'not here',
  },
  {
    name: 'a block with a content type keeps it',
    verdict: {
      decision: { kind: 'block', status: 403, body: '{}', headers: ['content-type', 'application/json'] },
    },
    status: 403,
    headers: { 'content-type': 'application/json' },
    body: '{}',
  },
  {
    name: 'a block without a body says what its status means',
    verdict: { decision: { kind: 'block', status: 403 } },
    status: 403,
    body: 'Forbidden\n',
  },
  {
    name: 'a block with a status that ends no response is an error',
    verdict: { decision: { kind: 'block', status: 101 } },
    status: 500,
  },
  {
    name: 'a redirect gives its location and keeps a redirect status',
    verdict: { decision: { kind: 'redirect', url: 'https://login.example.com/?a=b', status: 307 } },
    status: 307,
    headers: { location: 'https://login.example.com/?a=b' },
  },
  {
    name: 'a redirect with any other status is 302',
    verdict: { decision: { kind: 'redirect', url: '/x', status: 200 } },
    status: 302,
    headers: { location: '/x' },
  },
  {
    name: 'a redirect whose URL cannot stand in a header is 500',
    verdict: { decision: { kind: 'redirect', url: '/x\r\nset-cookie: a=b', status: 302 } },
    status: 500,
    headers: { location: null, 'set-cookie': null },
  },
  {
    name: 'a challenge with www-authenticate in any case is 401 with it',
    verdict: {
      decision: {
        kind: 'challenge',
        challengeType: 'basic',
        params: { 'WWW-Authenticate': 'Basic realm="x"', realm: 'secret' },
      },
    },
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="x"', realm: null },
  },
  {
    name: 'a challenge without it is 403 with its body and type',
    verdict: {
      decision: {
        kind: 'challenge',
        challengeType: 'js',
        params: { Body: '<p>', 'Content-Type': 'text/html' },
      },
    },
    status: 403,
    headers: { 'content-type': 'text/html' },
    body: '<p>',
  },
  {
    name: 'a content type of a challenge counts only with a body',
    verdict: {
      decision: { kind: 'challenge', challengeType: 'js', params: { 'content-type': 'text/html' } },
    },
    status: 403,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
  },
  {
    name: 'a timeout of an agent is 504 and says so',
    verdict: failure(new WeirError('TIMEOUT', 'waf did not answer')),
    status: 504,
    body: /"error":"TIMEOUT"/,
  },
  {
    name: 'an unavailable agent is 503 with the time to come again',
    verdict: failure(new WeirError('UNAVAILABLE', 'waf is away', { retryAfterMs: 1500 })),
    status: 503,
    headers: { 'retry-after': '2' },
  },
  {
    name: 'a rate limit is 429 with its figures',
    verdict: failure(
      new WeirError('RATE_LIMITED', 'too many', {
        retryAfterMs: 400,
        limit: { rule: 'r', limit: 10, remaining: 0, resetMs: 2400, ratePerSecond: 5 },
      }),
    ),
    status: 429,
    headers: {
      'retry-after': '1',
      'ratelimit-policy': '"r";q=10;w=2',
      ratelimit: '"r";r=0;t=3',
    },
  },
]

for (const [phase, plan] of PHASES) {
  const where = plan === undefined ? phase : `${phase}, ${plan.mode}`
  test(`every decision is carried out in ${where}, and what is refused does not pass`, async (t) => {
    let current: Partial<Verdict> = {}
    let upstreamRequests = 0
    const { origin, dispatcher } = await rig(t, {
      upstream: (request, response) => {
        upstreamRequests++
        request.resume().on('end', () => response.end('the upstream itself'))
      },
      chain: {
        wants: [phase],
        ...(phase === 'request-body-chunk' ? { requestBody: plan } : {}),
        ...(phase === 'response-body-chunk' ? { responseBody: plan } : {}),
      },
      script: () => current,
    })
    for (const cell of CELLS) {
      await t.test(cell.name, async () => {
        current = cell.verdict
        upstreamRequests = 0
        const response = await fetch(origin, { method: 'POST', body: 'some body', redirect: 'manual' })
        assert.equal(response.status, cell.status)
        for (const [name, value] of Object.entries(cell.headers ?? {})) {
          assert.equal(response.headers.get(name), value, name)
        }
        const text = await response.text()
        if (typeof cell.body === 'string') assert.equal(text, cell.body)
        else if (cell.body !== undefined) assert.match(text, cell.body)
        assert.doesNotMatch(text, /upstream itself/)
        assert.equal(response.headers.get('x-weir-correlation-id'), dispatcher.scopes.at(-1)!.correlationId)
        assert.equal(upstreamRequests, phase.startsWith('request') ? 0 : 1)
      })
    }
    assert.deepEqual(dispatcher.breaches, [])
    assert.equal(dispatcher.openRequests, 0)
  })
}

test('an allow in every phase passes everything', async (t) => {
  const { origin, dispatcher } = await rig(t, {
    chain: {
      wants: [
        'request-headers',
        'request-body-chunk',
        'response-headers',
        'response-body-chunk',
        'request-complete',
      ],
      requestBody: STREAM,
      responseBody: STREAM,
    },
  })
  const response = await fetch(`${origin}/p`, { method: 'POST', body: 'some body' })
  assert.equal(((await response.json()) as { body: string }).body, 'some body')
  assert.deepEqual(
    dispatcher.events.map((event) => event.kind),
    ['request-headers', 'request-body-chunk', 'response-headers', 'response-body-chunk'],
  )
  const [summary] = dispatcher.summaries
  assert.equal(summary?.status, 200)
  assert.equal(summary.requestBodySize, 9)
  assert.equal(summary.upstreamAttempts, 1)
})

test('a response refused after its head is out is cut, never ended', async (t) => {
  const { port, dispatcher } = await rig(t, {
    upstream: (_, response) => {
      response.write('a'.repeat(70_000))
      setTimeout(() => response.end('b'.repeat(70_000)), 20)
    },
    chain: { wants: ['response-body-chunk'], responseBody: STREAM },
    script: (event) =>
      event.kind === 'response-body-chunk' && event.data.includes(0x62) ? { decision: BLOCK } : undefined,
  })
  const text = await raw(port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 200 /)
  assert.doesNotMatch(text, /b{10}|451|\r\n0\r\n/)
  assert.equal(dispatcher.openRequests, 0)
})

test('agents that were not heard are named in a header', async (t) => {
  const { origin } = await rig(t, {
    chain: { wants: ['request-headers', 'response-headers'] },
    script: () => ({
      bypassed: [
        { agent: 'waf', reason: 'timeout' },
        { agent: 'pii', reason: 'paused' },
      ],
    }),
  })
  const response = await fetch(origin)
  assert.equal(response.headers.get('x-weir-bypass'), 'waf=timeout, pii=paused')
})

test('header operations reach the upstream, the response agents and the client, in that order', async (t) => {
  const { origin, dispatcher } = await rig(t, {
    upstream: (request, response) => {
      response.setHeader('x-from', 'upstream')
      response.end(JSON.stringify(request.headers))
    },
    chain: { wants: ['request-headers', 'response-headers'] },
    script: (event) =>
      event.kind === 'request-headers'
        ? {
            requestHeaders: [
              { op: 'set', name: 'X-User', value: 'alice' },
              { op: 'remove', name: 'x-drop' },
              { op: 'set', name: 'content-length', value: '7' },
              { op: 'set', name: 'x-bad', value: 'a\r\nb: c' },
            ],
            responseHeaders: [{ op: 'set', name: 'x-from', value: 'request agent' }],
          }
        : { responseHeaders: [{ op: 'add', name: 'x-from', value: 'response agent' }] },
  })
  const response = await fetch(origin, { headers: { 'x-drop': '1', 'x-user': 'mallory' } })
  const told = (await response.json()) as Record<string, string>
  assert.equal(told['x-user'], 'alice')
  assert.equal(told['x-drop'], undefined)
  assert.equal(told['x-bad'], undefined)
  assert.equal(told['content-length'], undefined)
  assert.equal(response.headers.get('x-from'), 'request agent, response agent')
  const [event] = dispatcher.of('response-headers')
  assert.equal(event!.headers[event!.headers.indexOf('x-from') + 1], 'request agent')
})
