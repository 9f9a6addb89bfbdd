import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyToAgent } from '../../src/wire/grpc/service.ts'
import { agentHears, PAIRS, withoutUndefined, written } from './support/codecs.ts'
import { frame, fromProxy, GRPC_PAIR, MSGPACK_PAIR, message } from './support/frames.ts'
import type { Told } from './support/recording-sink.ts'

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

test('the id of an event that does not decode is salvaged', () => {
  const cases: readonly [string, string][] = [
    ['{"correlation_id":"c1"}', 'c1'],
    ['{"correlation_id":"c1","correlation_id":null}', 'c1'],
    ['{"correlation_id":"","correlation_id":"c2"}', 'c2'],
    ['{"metadata":{"correlation_id":"c3"},"method":1}', 'c3'],
    ['{"metadata":{"x":{"correlation_id":"no"},"correlation_id":"c\\u0034"}}', 'c4'],
    ['{"correlation_id":"c5","method":"GET","uri":', 'c5'],
    ['{"headers":{"a":["\\"correlation_id\\":\\"no\\""]},"correlation_id":"c6"', 'c6'],
    ['{"correlation_id":"c7","uri":"a\\', 'c7'],
    ['{"correlation_id":"half an id', ''],
    ['{"config":{"correlation_id":"no"}}', ''],
    ['["c1"]', ''],
    ['{"correlation_id":["c1"]}', ''],
    ['{"correlation_id":7}', ''],
    ['nothing', ''],
  ]
  for (const [payload, id] of cases) {
    assert.deepEqual(fromProxy(0x10, payload).slice(0, 2), ['malformed-event', id], payload)
  }
})

test('a megabyte of quotes in a string without end is passed over in one step', () => {
  const payload = `{"correlation_id":"c1","uri":"${'\\"'.repeat(500_000)}`
  const begunAt = performance.now()
  assert.deepEqual(fromProxy(0x10, payload).slice(0, 2), ['malformed-event', 'c1'])
  const behind = `{"uri":"${'\\"'.repeat(500_000)}`
  assert.deepEqual(fromProxy(0x10, behind).slice(0, 2), ['malformed-event', ''])
  assert.ok(performance.now() - begunAt < 10_000, 'quadratic work takes minutes here')
})

test('the id of a MessagePack or gRPC event that does not decode is salvaged', () => {
  const packed = (hex: string): Told =>
    agentHears(MSGPACK_PAIR.agent(), frame(0x12, Buffer.from(hex.replaceAll(' ', ''), 'hex')))[0]!
  const id = `ae${Buffer.from('correlation_id').toString('hex')}`
  const metadata = `a8${Buffer.from('metadata').toString('hex')}`
  assert.equal(packed(`82 ${id} a0 ${id} a2 6331`)[1], 'c1')
  assert.equal(packed(`82 ${metadata} 81 ${id} a2 6332 a1 61 c1`)[1], 'c2')
  assert.equal(packed(`83 ${id} a2 6333 a1 61`)[1], 'c3')
  assert.equal(packed('91 a2 6331')[1], '')
  const broken = ProxyToAgent.encode({
    request_body_chunk: { correlation_id: 'c4', data: Buffer.from('hi') },
  })
  const [told] = agentHears(GRPC_PAIR.agent(), message(broken.subarray(0, broken.length - 1)))
  assert.deepEqual(told!.slice(0, 2), ['malformed-event', 'c4'])
})

test('body data that is not whole base64 is malformed: a gap would hide bytes from the agent', () => {
  const chunk = { correlation_id: 'c1', is_last: true }
  for (const data of ['a', 'aGk*', 'aG k=', 'aGk==x', 7, null]) {
    assert.equal(fromProxy(0x11, { ...chunk, data })[0], 'malformed-event', JSON.stringify(data))
  }
  const [, event] = fromProxy(0x11, { ...chunk, data: '' })
  assert.deepEqual(withoutUndefined(event), {
    kind: 'request-body-chunk',
    correlationId: 'c1',
    data: Buffer.alloc(0),
    isLast: true,
    chunkIndex: 0,
    bytesTransferred: 0,
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
      pair.proxy().writeEvent(event, out)
    })
    for (const told of agentHears(pair.agent(), bytes)) {
      assert.deepEqual((told[1] as typeof event).headers, pair.name === 'grpc' ? headers : grouped, pair.name)
    }
  }
  const upper = fromProxy(0x12, {
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
