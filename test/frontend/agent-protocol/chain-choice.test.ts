import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WeirError } from '../../../src/core/errors.ts'
import {
  CHAIN_METADATA,
  type ChainSource,
  chooseChain,
} from '../../../src/frontend/agent-protocol/chain-choice.ts'
import { AgentChain } from '../../../src/proxy/chain.ts'
import type { ProxyLink } from '../../../src/transport/proxy-link.ts'
import { requestHeaders, SAMPLE_METADATA } from '../../support/sample-events.ts'

const [api, web, other] = ['api', 'web', 'other'].map((name) => new AgentChain(name, []))

function source(over: Partial<ChainSource> = {}): ChainSource {
  const all = [api!, web!, other!]
  return {
    all,
    named: (name) => all.find((chain) => chain.name === name),
    forRequest: (host, path) => {
      if (path.startsWith('/api/')) return api
      return host === 'www.example.com' ? web : undefined
    },
    fallback: undefined,
    ...over,
  }
}
const link = (chain?: string): ProxyLink =>
  ({ metadata: chain === undefined ? undefined : { [CHAIN_METADATA]: chain } }) as unknown as ProxyLink
const event = (routeId: string | undefined, host = 'nowhere.example') =>
  requestHeaders('a', { metadata: { ...SAMPLE_METADATA, routeId }, headers: ['host', host] })
const notFound = (error: unknown): boolean => error instanceof WeirError && error.code === 'NOT_FOUND'

test('the metadata of the stream beats the route id, which beats host and path', () => {
  const all = event('api', 'www.example.com')
  assert.equal(chooseChain(source(), all, link('other')), other)
  assert.equal(chooseChain(source(), all, link()), api)
  assert.equal(chooseChain(source(), event('proxys-own', 'WWW.example.com:8443'), link()), web)
})

test('a chain that the metadata names and nobody configured is an error, not a guess', () => {
  assert.throws(() => chooseChain(source({ fallback: api }), event('api'), link('tpyo')), notFound)
})

test('the only chain takes what nothing else places', () => {
  assert.equal(chooseChain(source({ all: [web!], named: () => undefined }), event('x'), link()), web)
  assert.throws(() => chooseChain(source(), event('x'), link()), notFound)
})

test('the path places a request as it does for the HTTP front end, and no fallback leads around it', () => {
  const at = (uri: string) =>
    requestHeaders('a', { metadata: { ...SAMPLE_METADATA, routeId: undefined }, headers: ['host', 'h'], uri })
  const chains = source({ fallback: other })
  assert.equal(chooseChain(chains, at('/api/x?q=/web'), link()), api)
  assert.equal(chooseChain(chains, at('http://www.example.com/x'), link()), web)
  assert.throws(() => chooseChain(chains, at('/nowhere'), link()), notFound)
  for (const uri of ['/x/../api/y', '/%61pi/y', '*', '']) {
    assert.throws(
      () => chooseChain(chains, at(uri), link()),
      (error) => error instanceof WeirError && error.code === 'INVALID_ARGUMENT',
      uri,
    )
  }
})

test('a frame or an inspection without headers before it goes to the fallback', () => {
  const inspection = {
    kind: 'guardrail-inspect',
    correlationId: 'a',
    inspectionType: 'prompt_injection',
    content: 'text',
    categories: [],
    metadata: {},
  } as const
  assert.equal(chooseChain(source({ fallback: other }), inspection, link()), other)
  assert.throws(() => chooseChain(source(), inspection, link()), notFound)
})

test('without a host header the server name places a request', () => {
  const bare = requestHeaders('a', {
    metadata: { ...SAMPLE_METADATA, serverName: 'www.example.com' },
    headers: [],
  })
  assert.equal(chooseChain(source(), bare, link()), web)
})
