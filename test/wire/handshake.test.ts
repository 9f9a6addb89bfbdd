import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AgentCapabilities,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../src/core/agent-messages.ts'
import { WeirError } from '../../src/core/errors.ts'
import { agentHears, proxyHears, withoutUndefined, written } from './support/codecs.ts'
import { fromAgent, fromProxy, GRPC_PAIR, JSON_PAIR } from './support/frames.ts'

const FAILED = { protocol_version: 0, success: false, error: 'no', capabilities: null }

test('a handshake answer may lack capabilities and their keys, which take the defaults', () => {
  const [, failed] = fromAgent(0x02, FAILED)
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
  const { capabilities } = fromAgent(0x02, partial)[1] as { capabilities: AgentCapabilities }
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
    JSON_PAIR.agent().writeHandshakeResponse(
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
  const told = fromAgent(0x02, {
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
  assert.deepEqual((fromProxy(0x01, offer)[1] as { supportedEncodings: unknown }).supportedEncodings, [
    'msgpack',
    'json',
  ])
  assert.throws(() => fromAgent(0x02, { protocol_version: 2, success: true, encoding: 'cbor' }), WeirError)
  assert.throws(
    () => fromProxy(0x01, '{'),
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
      JSON_PAIR.proxy(),
      written((out) => JSON_PAIR.agent().writeRegistration(one, out)),
    )
    assert.deepEqual(withoutUndefined(told), [['registration', withoutUndefined(one)]])
  }
  const answer = { success: false, error: 'no', proxyId: 'p', proxyVersion: '1', connectionId: '' }
  for (const one of [answer, { ...answer, encoding: 'msgpack' as const }]) {
    const bytes = written((out) => JSON_PAIR.proxy().writeRegistrationResponse(one, out))
    assert.equal(bytes.includes('"encoding"'), 'encoding' in one)
    assert.deepEqual(withoutUndefined(agentHears(JSON_PAIR.agent(), bytes)), [['registration-response', one]])
  }
  assert.throws(
    () => written((out) => GRPC_PAIR.agent().writeRegistration(request, out)),
    (thrown: WeirError) => thrown.code === 'INVALID_ARGUMENT',
  )
})
