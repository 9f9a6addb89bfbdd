import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainAllow, reply } from '../../src/core/reply.ts'
import { grpcAgentCodec } from '../../src/wire/grpc/agent-codec.ts'
import { grpcProxyCodec } from '../../src/wire/grpc/proxy-codec.ts'
import { udsAgentCodec } from '../../src/wire/uds/agent-codec.ts'
import { udsProxyCodec } from '../../src/wire/uds/proxy-codec.ts'
import type { FakeClock } from '../support/fake-clock.ts'
import { agentHears, proxyHears, withoutUndefined, written } from './support/codecs.ts'

/* Bytes as the protocol's reference implementation puts them on the wire. */

const clockAt = (wallMs: number): FakeClock => ({ wallMs: () => wallMs }) as FakeClock

function udsFrame(type: number, payload: string | Buffer): Buffer {
  const body = Buffer.from(payload)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(body.length + 1)
  head[4] = type
  return Buffer.concat([head, body])
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

function grpcMessage(payload: string): Buffer {
  const body = hex(payload)
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(body.length, 1)
  return Buffer.concat([prefix, body])
}

const packedProxy = (): ReturnType<typeof udsProxyCodec> => {
  const codec = udsProxyCodec()
  codec.useEncoding('msgpack')
  return codec
}
const packedAgent = (): ReturnType<typeof udsAgentCodec> => {
  const codec = udsAgentCodec()
  codec.useEncoding('msgpack')
  return codec
}

test('a cancel and a ping on frames are the reference bytes, and are read from them in both encodings', () => {
  const cancel = Buffer.concat([
    hex('00000034 40'),
    Buffer.from('{"correlation_id":"c1","reason":0,"timestamp_ms":1}'),
  ])
  const ping = Buffer.concat([hex('00000020 41'), Buffer.from('{"sequence":0,"timestamp_ms":1}')])
  for (const [proxy, agent] of [
    [udsProxyCodec(), udsAgentCodec()],
    [packedProxy(), packedAgent()],
  ] as const) {
    assert.deepEqual(
      written((out) => proxy.writeCancel('c1', 'client-disconnect', 1, out)),
      cancel,
    )
    assert.deepEqual(
      written((out) => proxy.writePing(0, 1, out)),
      ping,
    )
    const pong = udsFrame(0x42, '{"sequence":0,"timestamp_ms":1}')
    assert.deepEqual(agentHears(agent, Buffer.concat([cancel, ping])), [
      ['cancel', 'c1', 'client-disconnect'],
      ['ping', pong.toString('hex')],
    ])
    assert.deepEqual(proxyHears(proxy, pong), [['pong', 0]])
  }
})

test('a pong copies the ping byte for byte, whatever it holds', () => {
  const odd = udsFrame(0x41, 'not even JSON')
  const [told] = agentHears(udsAgentCodec(), odd)
  assert.deepEqual(told, ['ping', udsFrame(0x42, 'not even JSON').toString('hex')])
})

test('the handshake of a stock proxy is read, and ours has its keys', () => {
  const stock =
    '{"supported_versions":[2],"proxy_id":"zentinel-proxy","proxy_version":"0.6.54","config":{"paranoia-level":2},"supported_encodings":["json"]}'
  const request = {
    supportedVersions: [2],
    proxyId: 'zentinel-proxy',
    proxyVersion: '0.6.54',
    config: { 'paranoia-level': 2 },
    supportedEncodings: ['json' as const],
  }
  assert.deepEqual(agentHears(udsAgentCodec(), udsFrame(0x01, stock)), [['handshake', request]])
  assert.deepEqual(
    written((out) => udsProxyCodec().writeHandshake(request, out)),
    udsFrame(0x01, stock),
  )
  const none = stock.replace('{"paranoia-level":2}', 'null')
  assert.deepEqual(withoutUndefined(agentHears(udsAgentCodec(), udsFrame(0x01, none))), [
    [
      'handshake',
      {
        supportedVersions: [2],
        proxyId: 'zentinel-proxy',
        proxyVersion: '0.6.54',
        supportedEncodings: ['json'],
      },
    ],
  ])
})

test('the configure of a stock proxy is read as the initial one, a later one is not', () => {
  const payload =
    '{"config":{"paranoia-level":2},"config_version":null,"correlation_id":"zentinel-configure-waf-0"}'
  const told = agentHears(udsAgentCodec(), Buffer.concat([udsFrame(0x17, payload), udsFrame(0x17, payload)]))
  const event = {
    kind: 'configure',
    correlationId: 'zentinel-configure-waf-0',
    config: { 'paranoia-level': 2 },
  }
  assert.deepEqual(withoutUndefined(told), [
    ['event', { ...event, isInitial: true }],
    ['event', { ...event, isInitial: false }],
  ])
})

const REFERENCE_ALLOW =
  '{"version":2,"decision":"allow","request_headers":[],"response_headers":[],"routing_metadata":{},"audit":{"tags":[],"rule_ids":[],"confidence":null,"reason_codes":[],"custom":{"correlation_id":"c1"}},"needs_more":false,"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null}'

test('the allow of a reference agent is read, and ours adds only the id at the top', () => {
  assert.deepEqual(proxyHears(udsProxyCodec(), udsFrame(0x20, REFERENCE_ALLOW)), [
    ['reply', plainAllow('c1')],
  ])
  const ours = written((out) => udsAgentCodec().writeReply(plainAllow('c1'), out))
  assert.equal(ours.toString('utf8', 5), `${REFERENCE_ALLOW.slice(0, -1)},"correlation_id":"c1"}`)
})

const NAMED_ALLOW =
  '8aa776657273696f6e02a86465636973696f6ea5616c6c6f77af726571756573745f6865616465727390b0726573706f6e73655f6865616465727390b0726f7574696e675f6d6574616461746180a5617564697485a47461677390a872756c655f69647390aa636f6e666964656e6365c0ac726561736f6e5f636f64657390a6637573746f6d81ae636f7272656c6174696f6e5f6964a26331aa6e656564735f6d6f7265c2b5726571756573745f626f64795f6d75746174696f6ec0b6726573706f6e73655f626f64795f6d75746174696f6ec0b2776562736f636b65745f6465636973696f6ec0'

test('MessagePack allows of reference agents are read, named and positional, and ours is the named one', () => {
  const positional = '9a02a5616c6c6f77909080959090c09081ae636f7272656c6174696f6e5f6964a26331c2c0c0c0'
  for (const payload of [NAMED_ALLOW, positional]) {
    const told = proxyHears(packedProxy(), udsFrame(0x20, hex(payload)))
    assert.deepEqual(withoutUndefined(told), withoutUndefined([['reply', plainAllow('c1')]]))
  }
  const ours = written((out) => packedAgent().writeReply(plainAllow('c1'), out))
  const id = Buffer.from('\u00aecorrelation_id\u00a2c1', 'latin1').toString('hex')
  assert.equal(ours.toString('hex', 5), `8b${NAMED_ALLOW.slice(2)}${id}`)
})

/** A positional reply around parts given in hex. */
const positionalReply = (decision: string, requestOps = '90'): Buffer =>
  udsFrame(
    0x20,
    hex(`9a02${decision}${requestOps}9080959090c09081ae636f7272656c6174696f6e5f6964a26331c2c0c0c0`),
  )

test('MessagePack blocks and header operations are read in both forms', () => {
  const block = reply('c1', { kind: 'block', status: 403 })
  for (const decision of [
    '81a5626c6f636b93cd0193c0c0',
    '81a5626c6f636b83a6737461747573cd0193a4626f6479c0a768656164657273c0',
  ]) {
    assert.deepEqual(
      withoutUndefined(proxyHears(packedProxy(), positionalReply(decision))),
      withoutUndefined([['reply', block]]),
    )
  }
  const [told] = proxyHears(
    packedProxy(),
    positionalReply('a5616c6c6f77', '9381a373657492a161a16281a361646492a161a16281a672656d6f766591a161'),
  )
  assert.deepEqual((told![1] as typeof block).requestHeaders, [
    { op: 'set', name: 'a', value: 'b' },
    { op: 'add', name: 'a', value: 'b' },
    { op: 'remove', name: 'a' },
  ])
})

test('MessagePack request headers are read with 11 and 12 positional metadata members', () => {
  const eleven =
    '85ae636f7272656c6174696f6e5f6964a26331a86d657461646174619ba26331a27231a7312e322e332e3450c0a8485454502f312e31c0c0a27274c0a174a66d6574686f64a3474554a3757269a12fa76865616465727381a16191a162'
  const twelve =
    '85ae636f7272656c6174696f6e5f6964a26331a86d657461646174619ca26331a27231a7312e322e332e3450c0a8485454502f312e31c0c0a27274c0a174a27470a66d6574686f64a3474554a3757269a12fa76865616465727381a16191a162'
  const metadata = {
    requestId: 'r1',
    clientIp: '1.2.3.4',
    clientPort: 80,
    protocol: 'HTTP/1.1',
    routeId: 'rt',
    timestampMs: 0,
  }
  const event = { kind: 'request-headers', correlationId: 'c1', method: 'GET', uri: '/', headers: ['a', 'b'] }
  assert.deepEqual(withoutUndefined(agentHears(packedAgent(), udsFrame(0x10, hex(eleven)))), [
    ['event', { ...event, metadata }],
  ])
  assert.deepEqual(withoutUndefined(agentHears(packedAgent(), udsFrame(0x10, hex(twelve)))), [
    ['event', { ...event, metadata: { ...metadata, traceparent: 'tp' } }],
  ])
})

test('MessagePack request headers without an id at the top take it from the metadata', () => {
  const payload = hex(
    '84a86d657461646174619ba26331a27231a7312e322e332e3450c0a8485454502f312e31c0c0a27274c0a174a66d6574686f64a3474554a3757269a12fa76865616465727381a16191a162',
  )
  const [told] = agentHears(packedAgent(), udsFrame(0x10, payload))
  assert.equal((told![1] as { correlationId: string }).correlationId, 'c1')
})

test('MessagePack chunks are read with a repeated key, and raw with and without the total size', () => {
  const repeated =
    '87ae636f7272656c6174696f6e5f6964a26331ae636f7272656c6174696f6e5f6964a26331a464617461a461476b3da769735f6c617374c3aa746f74616c5f73697a65c0ab6368756e6b5f696e64657803ae62797465735f726563656976656402'
  const chunk = {
    kind: 'request-body-chunk',
    correlationId: 'c1',
    data: Buffer.from('hi'),
    isLast: true,
    chunkIndex: 3,
    bytesTransferred: 2,
  }
  for (const payload of [repeated, '95a26331c4026869c30302']) {
    assert.deepEqual(withoutUndefined(agentHears(packedAgent(), udsFrame(0x11, hex(payload)))), [
      ['event', chunk],
    ])
  }
  assert.deepEqual(
    withoutUndefined(agentHears(packedAgent(), udsFrame(0x11, hex('96a26331c4026869c3090302')))),
    [['event', { ...chunk, totalSize: 9 }]],
  )
})

test('gRPC handshake, configure, ping, pong and cancel are the reference bytes', () => {
  const proxy = grpcProxyCodec({}, clockAt(1))
  const agent = grpcAgentCodec({}, clockAt(2))
  const handshake = {
    supportedVersions: [2, 1],
    proxyId: 'zentinel-proxy',
    proxyVersion: '0.6.20',
    config: undefined,
    supportedEncodings: [],
  }
  const handshakeBytes = grpcMessage('0a200a020201120e7a656e74696e656c2d70726f78791a06302e362e323022027b7d')
  assert.deepEqual(
    written((out) => proxy.writeHandshake(handshake, out)),
    handshakeBytes,
  )
  assert.deepEqual(agentHears(agent, handshakeBytes), [['handshake', handshake]])

  const configure = {
    kind: 'configure',
    correlationId: '',
    config: {},
    configVersion: undefined,
    isInitial: true,
  } as const
  const behind = Buffer.concat([grpcMessage('52080a027b7d18012001'), grpcMessage('5a021001')])
  assert.deepEqual(
    written((out) => {
      proxy.writeEvent(configure, out)
      proxy.writePing(0, 1, out)
    }),
    behind,
  )
  const pong = grpcMessage('3a0410011802')
  assert.deepEqual(agentHears(agent, behind), [
    ['event', configure],
    ['ping', pong.toString('hex')],
  ])
  assert.deepEqual(proxyHears(proxy, pong), [['pong', 0]])

  const cancel = grpcMessage('4a080a02633110011801')
  assert.deepEqual(
    written((out) => proxy.writeCancel('c1', 'client-disconnect', 1, out)),
    cancel,
  )
  assert.deepEqual(agentHears(agent, cancel), [['cancel', 'c1', 'client-disconnect']])
  const [ping] = agentHears(agent, grpcMessage('5a0408011002'))
  assert.equal(ping![0], 'ping')
})

test('gRPC replies, flow signals and chunks of reference peers are read', () => {
  const proxy = grpcProxyCodec()
  assert.deepEqual(proxyHears(proxy, grpcMessage('120a0a026331120062006800')), [
    ['reply', reply('c1', { kind: 'allow' }, { processingTimeMs: 0 })],
  ])
  const block = reply(
    'c1',
    { kind: 'block', status: 403, body: 'no', headers: undefined },
    { processingTimeMs: 3 },
  )
  assert.deepEqual(proxyHears(proxy, grpcMessage('12110a0263311a0708930312026e6f62006803')), [
    ['reply', block],
  ])
  assert.deepEqual(withoutUndefined(proxyHears(proxy, grpcMessage('320410012001'))), [
    ['flow', { action: 'pause', timestampMs: 1 }],
  ])
  const chunk = {
    kind: 'request-body-chunk',
    correlationId: 'c1',
    data: Buffer.from('hi'),
    isLast: true,
    totalSize: undefined,
    chunkIndex: 0,
    bytesTransferred: 2,
  } as const
  const bytes = grpcMessage('1a0e0a0263311a026869200130024001')
  assert.deepEqual(agentHears(grpcAgentCodec(), bytes), [['event', chunk]])
  assert.deepEqual(
    written((out) => grpcProxyCodec({}, clockAt(1)).writeEvent(chunk, out)),
    bytes,
  )
})
