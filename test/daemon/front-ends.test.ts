import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { CorrelationIds } from '../../src/core/correlation-id.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import { allow, block } from '../../src/sdk/answer.ts'
import type { Connection, Dialer } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { Place } from './harness.ts'

const HANDSHAKE = { proxyId: 'test', proxyVersion: '1', connectTimeoutMs: 5000, configTimeoutMs: 5000 }
const ids = new CorrelationIds()

function ask(connection: Connection, uri: string, host: string): Promise<AgentReply> {
  const correlationId = ids.next()
  return new Promise((resolve, reject) => {
    connection.send(
      {
        kind: 'request-headers',
        correlationId,
        metadata: {
          requestId: 'r',
          clientIp: '203.0.113.9',
          clientPort: 1,
          protocol: 'HTTP/1.1',
          timestampMs: Date.now(),
        },
        method: 'GET',
        uri,
        headers: ['host', host],
      },
      { correlationId, nextSameId: null, onReply: resolve, onLost: reject },
    )
  })
}

test('a proxy takes Weir as its one agent over gRPC and over a Unix socket, by the same routes', async (t) => {
  const place = await Place.make(t)
  await place.agent('waf', {
    onRequestHeaders: (event) =>
      event.uri.includes('evil') ? block(403) : allow().setRequestHeader('x-waf', '1'),
  })
  await place.agent('strict', { onRequestHeaders: () => block(451) })
  await writeFile(
    place.file,
    `
listen: { grpc: "127.0.0.1:0", socket: unix:./weir.sock, admin: unix:./admin.sock }
agents: { waf: { endpoint: unix:./waf.sock }, strict: { endpoint: unix:./strict.sock } }
routes:
  - { name: strict, match: { host: "*.strict.example", path: /* }, agents: [strict] }
  - { name: inside, match: { path: /inside/* }, agents: [strict] }
  - { name: rest, match: { path: /* }, agents: [waf] }
`,
  )
  const daemon = place.weir('serve', '-c', place.file, '--wait-for-agents', '5000')
  await daemon.said(/"event":"serving"/)
  const [, address] = await daemon.said(/"option":"listen\.grpc","address":"(?:\w+:\/\/)?([^"]+)"/)
  const dialers: Dialer[] = [
    grpcDialer(`grpc://${address}`, HANDSHAKE),
    udsDialer(place.socket('weir'), HANDSHAKE, { encodings: ['msgpack', 'json'] }),
  ]
  for (const dialer of dialers) {
    const connection = await dialer.dial(new AbortController().signal)
    t.after(() => connection.close())
    const passed = await ask(connection, '/good', 'a.example')
    assert.equal(passed.decision.kind, 'allow', dialer.endpoint)
    assert.deepEqual(passed.requestHeaders, [{ op: 'set', name: 'x-waf', value: '1' }])
    const blocked = await ask(connection, '/evil', 'a.example')
    assert.equal(blocked.decision.kind === 'block' && blocked.decision.status, 403)
    const strict = await ask(connection, '/good', 'www.strict.example:8443')
    assert.equal(strict.decision.kind === 'block' && strict.decision.status, 451)
    const inside = await ask(connection, '/inside/x', 'a.example')
    assert.equal(inside.decision.kind === 'block' && inside.decision.status, 451)
    const around = await ask(connection, '/%69nside/x', 'a.example')
    assert.equal(around.decision.kind === 'block' && around.decision.status, 400)
    await connection.close()
  }
  daemon.child.kill('SIGTERM')
  assert.equal(await daemon.ended(), 0)
})
