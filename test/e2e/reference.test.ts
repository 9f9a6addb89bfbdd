import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { Place } from '../daemon/harness.ts'
import {
  freePort,
  type PoolFigures,
  peerTest,
  runReferencePool,
  startReferenceAgent,
} from '../peers/reference-peers.ts'
import { httpCall } from '../support/http-call.ts'
import { startGuard } from './guard.ts'

/** Answers with what the reference agent told it. */
async function markUpstream(t: TestContext): Promise<string> {
  const server = createServer((request, response) =>
    response.end(`x-ref-agent: ${String(request.headers['x-ref-agent'])}`),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

peerTest('the reference agent decides on HTTP requests, over each wire it speaks', async (t, peers) => {
  const place = await Place.make(t)
  const upstream = await markUpstream(t)
  const grpc = `127.0.0.1:${await freePort()}`
  await startReferenceAgent(t, peers.agent, 'uds', place.socket('ref'))
  await startReferenceAgent(t, peers.agent, 'grpc', grpc)
  const agents = {
    json: '{ endpoint: unix:./ref.sock, encodings: [json] }',
    msgpack: '{ endpoint: unix:./ref.sock, encodings: [msgpack] }',
    grpc: `{ endpoint: "grpc://${grpc}" }`,
  }
  const names = Object.keys(agents)
  await writeFile(
    place.file,
    `
listen: { http: "127.0.0.1:0", admin: unix:./admin.sock }
defaults: { events: [request-headers, response-headers] }
agents:
${Object.entries(agents)
  .map(([name, agent]) => `  ${name}: ${agent}`)
  .join('\n')}
routes:
${names.map((name) => `  - { match: { path: /${name} }, upstream: "${upstream}", agents: [${name}] }`).join('\n')}
`,
  )
  const daemon = await place.serve('--wait-for-agents', '10000')
  for (const name of names) {
    const one = async (n: number): Promise<void> => {
      const isBlocked = n % 4 === 0
      const headers: Record<string, string> = isBlocked ? { 'x-block': '1' } : {}
      const answer = await httpCall({ port: daemon.port, path: `/${name}`, headers })
      assert.ok(answer.headers['x-weir-correlation-id'])
      assert.equal(answer.status, isBlocked ? 403 : 200, `${name}: ${answer.text}`)
      assert.equal(answer.text.trimEnd(), isBlocked ? 'blocked by reference agent' : 'x-ref-agent: 1', name)
      assert.equal(answer.headers['x-ref-agent-response'], isBlocked ? undefined : '1', name)
    }
    await Promise.all(Array.from({ length: 40 }, (_, n) => one(n)))
  }
  daemon.process.child.kill('SIGTERM')
  assert.equal(await daemon.process.ended(), 0)
})

peerTest(
  'the reference pool takes the daemon as its agent, over gRPC and a Unix socket',
  async (t, peers) => {
    const place = await Place.make(t)
    const guard = await startGuard(t, 'uds', place.socket('guard'))
    await writeFile(
      place.file,
      `
listen: { grpc: "127.0.0.1:0", socket: unix:./proxies.sock, admin: unix:./admin.sock }
agents: { guard: { endpoint: unix:./guard.sock } }
routes: [{ match: { path: /* }, agents: [guard] }]
`,
    )
    const daemon = place.weir('serve', '-c', place.file, '--wait-for-agents', '10000')
    await daemon.said(/"event":"serving"/)
    const [, port = ''] = await daemon.said(/"option":"listen\.grpc","address":"[^"]*:(\d+)"/)
    let seenBefore = 0
    for (const endpoint of [`http://127.0.0.1:${port}`, `unix:${place.socket('proxies')}`]) {
      const levels = await runReferencePool(t, peers.pool, endpoint)
      const errors = levels.map((level: PoolFigures) => level.errors)
      assert.deepEqual(errors, [0, 0], endpoint)
      assert.ok(levels.every((level) => level.events_per_s > 0))
      const seen = Number(await guard.ask('seen'))
      assert.ok(seen > seenBefore, endpoint)
      seenBefore = seen
    }
    daemon.child.kill('SIGTERM')
    assert.equal(await daemon.ended(), 0)
  },
)
