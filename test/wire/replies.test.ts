import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { WeirError } from '../../src/core/errors.ts'
import { type AgentReply, plainAllow, reply } from '../../src/core/reply.ts'
import { AgentToProxy } from '../../src/wire/grpc/service.ts'
import { PAIRS, proxyHears, withoutUndefined, written } from './support/codecs.ts'
import { fromAgent, GRPC_PAIR, message } from './support/frames.ts'
import type { Told } from './support/recording-sink.ts'

const decisionOf = (told: Told): unknown => (told[1] as AgentReply).decision

test('a reply needs only a version and a decision', () => {
  assert.deepEqual(withoutUndefined(fromAgent(0x20, { version: 2, decision: 'allow' })), [
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
    assert.deepEqual(withoutUndefined(decisionOf(fromAgent(0x20, { version: 2, decision: form }))), expected)
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
    const told = fromAgent(0x20, { version: 2, decision: form, correlation_id: 'c9' })
    assert.deepEqual(told.slice(0, 2), ['malformed-reply', 'c9'], JSON.stringify(form))
    assert.equal((told[2] as WeirError).code, 'PROTOCOL_ERROR')
  }
})

test('the id of a reply comes from the audit, else from the top, and is no key of the agent', () => {
  const both = fromAgent(0x20, {
    version: 2,
    decision: 'allow',
    correlation_id: 'top',
    audit: { custom: { correlation_id: 'in', mine: 1 } },
  })
  assert.equal((both[1] as AgentReply).correlationId, 'in')
  assert.deepEqual((both[1] as AgentReply).audit.custom, { mine: 1 })
  const top = fromAgent(0x20, { version: 2, decision: 'allow', correlation_id: 'top', audit: { custom: {} } })
  assert.equal((top[1] as AgentReply).correlationId, 'top')
  assert.deepEqual(fromAgent(0x20, '[').slice(0, 2), ['malformed-reply', ''])
})

test('a gRPC reply without a decision, or with a status out of range, is malformed, never an allow', () => {
  for (const response of [
    { correlation_id: 'c1' },
    { correlation_id: 'c1', block: { status: 0 } },
    { correlation_id: 'c1', block: { status: 66_000 } },
  ]) {
    const told = proxyHears(GRPC_PAIR.proxy(), message(AgentToProxy.encode({ response })))
    assert.deepEqual(told[0]!.slice(0, 2), ['malformed-reply', 'c1'])
  }
  assert.deepEqual(proxyHears(GRPC_PAIR.proxy(), message(Buffer.alloc(0))), [])
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
    GRPC_PAIR.agent().writeReply(
      reply('c1', { kind: 'allow' }, { audit: { tags: [], ruleIds: [], reasonCodes: [], custom } }),
      out,
    ),
  )
  const sent = (
    AgentToProxy.decode(bytes.subarray(5))['response'] as { audit: { custom: Record<string, string> } }
  ).audit.custom
  assert.equal(sent['plain'], 'text')
  assert.equal(sent['real'], '5')
  const [told] = proxyHears(GRPC_PAIR.proxy(), bytes)
  assert.deepEqual((told![1] as AgentReply).audit.custom, custom)
  const quoted = AgentToProxy.encode({
    response: { correlation_id: 'c1', allow: {}, audit: { custom: { a: '"text"' } } },
  })
  assert.deepEqual((proxyHears(GRPC_PAIR.proxy(), message(quoted))[0]![1] as AgentReply).audit.custom, {
    a: 'text',
  })
})
