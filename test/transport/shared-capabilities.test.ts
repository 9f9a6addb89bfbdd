import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AgentCapabilities,
  DEFAULT_FEATURES,
  DEFAULT_HEALTH_REPORTING,
  DEFAULT_LIMITS,
} from '../../src/core/agent-messages.ts'
import { sharedCapabilities } from '../../src/transport/proxy-end/shared-capabilities.ts'

const of = (name: string, limits = DEFAULT_LIMITS): AgentCapabilities => ({
  protocolVersion: 2,
  agentId: 'waf',
  name,
  version: '1',
  supportedEvents: ['request-headers'],
  features: { ...DEFAULT_FEATURES },
  limits,
  health: { ...DEFAULT_HEALTH_REPORTING },
})

test('connections that announced the same hold one object', () => {
  assert.equal(sharedCapabilities(of('a')), sharedCapabilities(of('a')))
})

test('a difference anywhere keeps capabilities apart', () => {
  const one = sharedCapabilities(of('a'))
  const other = sharedCapabilities(of('a', { ...DEFAULT_LIMITS, maxConcurrency: 7 }))
  assert.equal(one.limits.maxConcurrency, DEFAULT_LIMITS.maxConcurrency)
  assert.equal(other.limits.maxConcurrency, 7)
})

test('what is shared cannot be changed by one of its holders', () => {
  const shared = sharedCapabilities(of('a'))
  assert.throws(() => Object.assign(shared.features, { cancellation: true }), TypeError)
})

test('what peers can make us remember is bounded in number and in size', () => {
  const first = sharedCapabilities(of('first'))
  for (let n = 0; n < 64; n++) sharedCapabilities(of(`other-${n}`))
  assert.notEqual(sharedCapabilities(of('first')), first)
  const long = 'x'.repeat(5000)
  assert.notEqual(sharedCapabilities(of(long)), sharedCapabilities(of(long)))
})
