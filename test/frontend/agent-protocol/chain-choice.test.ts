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
    forHost: (host) => (host === 'www.example.com' ? web : undefined),
    fallback: undefined,
    ...over,
  }
}
const link = (chain?: string): ProxyLink =>
  ({ metadata: chain === undefined ? undefined : { [CHAIN_METADATA]: chain } }) as unknown as ProxyLink
const event = (routeId: string | undefined, host = 'nowhere.example') =>
  requestHeaders('a', { metadata: { ...SAMPLE_METADATA, routeId }, headers: ['host', host] })
const notFound = (error: unknown): boolean => error instanceof WeirError && error.code === 'NOT_FOUND'

test('the metadata of the stream beats the route id, which beats the host', () => {
  const all = event('api', 'www.example.com')
  assert.equal(chooseChain(source(), all, link('other')), other)
  assert.equal(chooseChain(source(), all, link()), api)
  assert.equal(chooseChain(source(), event('proxys-own', 'WWW.example.com:8443'), link()), web)
})

test('a chain that the metadata names and nobody configured is an error, not a guess', () => {
  assert.throws(() => chooseChain(source({ fallback: api }), event('api'), link('tpyo')), notFound)
})

test('the only chain takes what nothing else places, and among several the fallback does', () => {
  assert.equal(chooseChain(source({ all: [web!], named: () => undefined }), event('x'), link()), web)
  assert.equal(chooseChain(source({ fallback: other }), event('x'), link()), other)
  assert.throws(() => chooseChain(source(), event('x'), link()), notFound)
})

test('without a host header the server name places a request', () => {
  const bare = requestHeaders('a', {
    metadata: { ...SAMPLE_METADATA, serverName: 'www.example.com' },
    headers: [],
  })
  assert.equal(chooseChain(source(), bare, link()), web)
})
