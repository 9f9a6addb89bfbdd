import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client, credentials, type ServiceError } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { failureAudit, RETRY_AFTER_KEY } from '../../src/core/agent-failure.ts'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../../src/core/agent-messages.ts'
import { reply } from '../../src/core/reply.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import type { ProxyLinkHandler } from '../../src/transport/proxy-link.ts'
import { agentServiceDefinition } from '../../src/wire/grpc/service.ts'

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`)

/** An agent whose limit is always used up. */
const limited: ProxyLinkHandler = {
  onEvent(event, link) {
    const audit = failureAudit('RATE_LIMITED', 'agent waf is over its rate limit')
    const custom = { ...audit.custom, [RETRY_AFTER_KEY]: 1250.5 }
    const decision = { kind: 'block', status: 429 } as const
    link.reply(reply(event.correlationId, decision, { audit: { ...audit, custom } }))
  },
  onMalformedEvent: (_id, error) => assert.fail(error),
  onCancel: () => undefined,
  onConfigure: () => Promise.resolve(),
  onOpen: () => undefined,
  onClosed: () => undefined,
}

test('a unary call over the limit ends with RESOURCE_EXHAUSTED and a RetryInfo that gRPC clients can read', async (t) => {
  const listener = await listenGrpc('127.0.0.1:0', {
    handler: limited,
    capabilities: () => ({
      protocolVersion: 2,
      agentId: 'waf',
      name: 'waf',
      version: '1',
      supportedEvents: ['request-headers'],
      features: DEFAULT_FEATURES,
      limits: DEFAULT_LIMITS,
      health: DEFAULT_HEALTH_REPORTING,
    }),
  })
  t.after(() => listener.close())
  const client = new Client(`127.0.0.1:${listener.port}`, credentials.createInsecure())
  t.after(() => client.close())
  const { path, requestSerialize, responseDeserialize } = agentServiceDefinition['ProcessEvent']!
  const metadata = { correlation_id: 'a', request_id: 'a', client_ip: '203.0.113.7', protocol: 'HTTP/1.1' }
  const message = {
    request_headers: { metadata, method: 'GET', uri: '/', http_version: 'HTTP/1.1', headers: [] },
  }
  const error = await new Promise<ServiceError>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, message, (failed, answer) => {
      if (failed === null) reject(new Error(`answered ${JSON.stringify(answer)}`))
      else resolve(failed)
    })
  })
  assert.equal(error.code, 8)
  assert.match(error.details, /over its rate limit/)
  const [details] = error.metadata.get('grpc-status-details-bin') as [Buffer]
  const status = root.lookupType('Status').decode(details).toJSON() as {
    code: number
    details: { typeUrl: string; value: string }[]
  }
  assert.equal(status.code, 8)
  assert.equal(status.details[0]!.typeUrl, 'type.googleapis.com/google.rpc.RetryInfo')
  const value = Buffer.from(status.details[0]!.value, 'base64')
  assert.deepEqual(root.lookupType('RetryInfo').decode(value).toJSON(), {
    retryDelay: { seconds: '1', nanos: 250_500_000 },
  })
})
