import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../src/core/errors.ts'
import { NO_AUDIT, NO_OPS, plainAllow } from '../../src/core/reply.ts'
import {
  allow,
  block,
  challenge,
  closeWebSocket,
  dropFrame,
  inspected,
  needsMore,
  redirect,
  replaceBody,
  replyFor,
} from '../../src/sdk/answer.ts'
import { fitReply } from '../../src/sdk/fit-reply.ts'
import type { TransportName } from '../../src/transport/connection.ts'
import type { ProxyLink } from '../../src/transport/proxy-link.ts'
import { bodyChunk, requestHeaders } from '../support/sample-events.ts'

const event = requestHeaders('a')
const linkOf = (transport: TransportName, proxyId: string): ProxyLink => ({ transport, proxyId }) as ProxyLink
const invalid = (error: unknown): boolean => error instanceof WeirError && error.code === 'INVALID_ARGUMENT'

test('nothing returned is an allow that shares its empty parts', () => {
  assert.deepEqual(replyFor(event, undefined), plainAllow('a'))
  const reply = allow().toReply(event)
  assert.equal(reply.requestHeaders, NO_OPS)
  assert.equal(reply.audit, NO_AUDIT)
})

test('header operations keep their order and their names become lower case', () => {
  const reply = allow()
    .removeRequestHeader('X-A')
    .setRequestHeader('X-A', '1')
    .addResponseHeader('Vary', 'origin')
    .toReply(event)
  assert.deepEqual(reply.requestHeaders, [
    { op: 'remove', name: 'x-a' },
    { op: 'set', name: 'x-a', value: '1' },
  ])
  assert.deepEqual(reply.responseHeaders, [{ op: 'add', name: 'vary', value: 'origin' }])
})

test('an answer cannot split a header', () => {
  assert.throws(() => allow().setRequestHeader('x-a', '1\r\nx-evil: 1'), invalid)
  assert.throws(() => allow().setRequestHeader('x a', '1'), invalid)
  assert.throws(() => block(403, 'no', { 'x-a': '\n' }), invalid)
  assert.throws(() => redirect('/a\r\nset-cookie: b=c'), invalid)
  assert.throws(() => challenge('basic', { 'www-authenticate': 'a\nb' }), invalid)
  assert.doesNotThrow(() => allow().setRequestHeader('x-a', 'tab\tis fine'))
})

test('a status outside its range is refused where it is written', () => {
  for (const status of [0, 99, 600, 403.5, Number.NaN]) assert.throws(() => block(status), invalid)
  for (const status of [200, 304, 399]) assert.throws(() => redirect('/a', status), invalid)
  for (const code of [0, 999, 5000]) assert.throws(() => closeWebSocket(code), invalid)
  for (const confidence of [-0.1, 1.1, Number.NaN])
    assert.throws(() => allow().withConfidence(confidence), invalid)
})

test('an answer carries its audit facts', () => {
  const { audit } = block(403, 'no')
    .addTag('sqli', 'high')
    .addTag('waf')
    .addRule('942100')
    .addReason('SQLI')
    .withConfidence(0.9)
    .withAudit('score', 7)
    .toReply(event)
  assert.deepEqual(audit, {
    tags: ['sqli', 'high', 'waf'],
    ruleIds: ['942100'],
    confidence: 0.9,
    reasonCodes: ['SQLI'],
    custom: { score: 7 },
  })
})

test('a replaced body names the chunk and the direction that were asked about', () => {
  const asked = bodyChunk('a', 'x', { kind: 'response-body-chunk', chunkIndex: 2 })
  const reply = replaceBody('y').needsMore().toReply(asked)
  assert.deepEqual(reply.responseBodyMutation, { data: Buffer.from('y'), chunkIndex: 2 })
  assert.equal(reply.requestBodyMutation, undefined)
  assert.equal(reply.needsMore, true)
  assert.equal(needsMore().toReply(asked).decision.kind, 'allow')
})

test('a body cannot be replaced where there is none', () => {
  assert.throws(
    () => replaceBody('y').toReply(event),
    (error) => error instanceof WeirError,
  )
})

test('what a proxy cannot read over gRPC becomes a block and never a plain allow', () => {
  const grpc = linkOf('grpc', 'zentinel-proxy')
  const asked = bodyChunk('a', 'x')
  const frames = [dropFrame(), closeWebSocket(1008, 'spam')]
  for (const answer of frames)
    assert.equal(fitReply(answer.toReply(event), 'websocket-frame', grpc).decision.kind, 'block')
  for (const answer of [replaceBody('y'), allow().dropBody()])
    assert.equal(fitReply(answer.toReply(asked), 'request-body-chunk', grpc).decision.kind, 'block')
  const found = inspected({ detected: true }).toReply(event)
  assert.equal(fitReply(found, 'guardrail-inspect', grpc).decision.kind, 'block')
  const clean = inspected({ detected: false }).toReply(event)
  assert.equal(fitReply(clean, 'guardrail-inspect', grpc).decision.kind, 'allow')
})

test('where everything can be said, replies are left as they are', () => {
  const found = inspected({ detected: true }).toReply(event)
  for (const link of [linkOf('uds', 'any'), linkOf('reverse', 'any'), linkOf('grpc', 'weir')])
    assert.equal(fitReply(found, 'guardrail-inspect', link), found)
})

test('a guardrail result is JSON text with the severity filled in', () => {
  const { routingMetadata } = inspected({
    detected: true,
    detections: [{ category: 'pii', description: 'an address' }],
    redactedContent: '***',
  }).toReply(event)
  assert.deepEqual(JSON.parse(Object.values(routingMetadata)[0]!), {
    detected: true,
    confidence: 0,
    detections: [{ category: 'pii', description: 'an address', severity: 'medium' }],
    redacted_content: '***',
  })
})

test('a value that a client sent can be handed on, whatever bytes it has, and one that no header can hold is refused', () => {
  for (const text of ['José', '李', 'Łukasz', 'tab\tbed']) {
    const received = Buffer.from(text).toString('latin1')
    assert.deepEqual(
      allow().setRequestHeader('x-user', received).toReply(requestHeaders('c')).requestHeaders,
      [{ op: 'set', name: 'x-user', value: received }],
    )
  }
  for (const value of ['a\nb', 'a\0', '\x7f', '李'])
    assert.throws(() => allow().setRequestHeader('x-user', value), { code: 'INVALID_ARGUMENT' })
})
