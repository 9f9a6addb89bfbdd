import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { Agent } from '../../src/sdk/agent.ts'
import { allow } from '../../src/sdk/answer.ts'
import { serveGrpc, serveUds } from '../../src/sdk/serve.ts'
import type { Dialer } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { listenUds } from '../../src/transport/uds/uds-listener.ts'
import { liveWeir } from '../frontend/agent-protocol/live-weir.ts'
import { ask, HANDSHAKE } from '../support/asking.ts'
import { eventually } from '../support/eventually.ts'
import { bodyChunk, requestHeaders, responseHeaders } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import {
  freePort,
  MEASURED_SECONDS,
  type PoolFigures,
  peerTest,
  runReferencePool,
  startReferenceAgent,
} from './reference-peers.ts'

/** Every event was answered, and the agent behind saw at least those of the measured part, which the rate speaks of. */
function assertAllAnswered(levels: readonly PoolFigures[], seen: number): void {
  assert.equal(levels.length, 2)
  let measured = 0
  for (const { errors, events_per_s: rate } of levels) {
    assert.equal(errors, 0)
    assert.ok(rate > 0)
    measured += Math.floor(rate * MEASURED_SECONDS)
  }
  assert.ok(seen >= measured, `the agent saw ${seen} events of at least ${measured}`)
}

function countingAgent() {
  let seen = 0
  const agent: Agent = {
    name: 'counting',
    onRequestHeaders: () => {
      seen++
      return allow().setRequestHeader('x-seen', '1')
    },
  }
  return { agent, seen: () => seen }
}

peerTest('the reference pool drives an SDK agent over a Unix socket', async (t, peers) => {
  const { agent, seen } = countingAgent()
  const running = await serveUds(join(await temporaryFolder(t), 'sdk.sock'), agent)
  t.after(() => running.close({ timeoutMs: 0 }))
  assertAllAnswered(await runReferencePool(t, peers.pool, running.address), seen())
  await eventually('nothing is left running', () => running.inFlight === 0)
})

peerTest('the reference pool drives an SDK agent over gRPC', async (t, peers) => {
  const { agent, seen } = countingAgent()
  const running = await serveGrpc('127.0.0.1:0', agent)
  t.after(() => running.close({ timeoutMs: 0 }))
  assertAllAnswered(await runReferencePool(t, peers.pool, `http://127.0.0.1:${running.port}`), seen())
})

const behindOf = (path: string) => ({ behind: { dialer: () => udsDialer(path, HANDSHAKE) } })

peerTest('the reference pool takes Weir as its agent over gRPC, an SDK agent behind it', async (t, peers) => {
  const { agent, seen } = countingAgent()
  const running = await serveUds(join(await temporaryFolder(t), 'behind.sock'), agent)
  t.after(() => running.close({ timeoutMs: 0 }))
  const path = running.address.replace('unix:', '')
  const { frontEnd, dispatcher } = await liveWeir(t, behindOf(path), { only: ['behind'] })
  const listener = await listenGrpc('127.0.0.1:0', frontEnd.agentEnd)
  t.after(() => listener.close())
  assertAllAnswered(await runReferencePool(t, peers.pool, `http://127.0.0.1:${listener.port}`), seen())
  await eventually('requests end with their connections', () => dispatcher.openRequests === 0)
})

peerTest(
  'the reference pool takes Weir as its agent over a Unix socket, the reference agent behind it',
  async (t, peers) => {
    const folder = await temporaryFolder(t)
    const behind = join(folder, 'behind.sock')
    await startReferenceAgent(t, peers.agent, 'uds', behind)
    const { frontEnd, dispatcher } = await liveWeir(t, behindOf(behind), { only: ['behind'] })
    const listener = await listenUds(join(folder, 'weir.sock'), frontEnd.agentEnd)
    t.after(() => listener.close())
    assertAllAnswered(await runReferencePool(t, peers.pool, listener.address), Number.POSITIVE_INFINITY)
    await eventually('requests end with their connections', () => dispatcher.openRequests === 0)
  },
)

const DIALS: readonly [name: string, kind: 'uds' | 'grpc', dialer: (address: string) => Dialer][] = [
  ['a Unix socket with JSON', 'uds', (path) => udsDialer(path, HANDSHAKE, { encodings: ['json'] })],
  [
    'a Unix socket with MessagePack',
    'uds',
    (path) => udsDialer(path, HANDSHAKE, { encodings: ['msgpack', 'json'] }),
  ],
  ['gRPC', 'grpc', (address) => grpcDialer(`grpc://${address}`, HANDSHAKE)],
  [
    'gRPC on grpc-js',
    'grpc',
    (address) => grpcDialer(`grpc://${address}`, HANDSHAKE, { implementation: 'grpc-js' }),
  ],
]

for (const [name, kind, dialer] of DIALS) {
  peerTest(`our dialer gets the reference agent's decisions over ${name}`, async (t, peers) => {
    const address =
      kind === 'uds' ? join(await temporaryFolder(t), 'ref.sock') : `127.0.0.1:${await freePort()}`
    await startReferenceAgent(t, peers.agent, kind, address)
    const connection = await dialer(address).dial(AbortSignal.timeout(5000))
    t.after(() => connection.close())
    assert.equal(connection.capabilities.agentId, 'ref')
    const allowed = await ask(connection, requestHeaders('a'))
    assert.deepEqual(allowed.requestHeaders, [{ op: 'set', name: 'x-ref-agent', value: '1' }])
    const blocked = await ask(connection, requestHeaders('b', { headers: ['host', 'h', 'x-block', '1'] }))
    assert.equal(blocked.decision.kind === 'block' && blocked.decision.status, 403)
    assert.equal(blocked.decision.kind === 'block' && blocked.decision.body, 'blocked by reference agent')
    const moved = await ask(connection, requestHeaders('c', { headers: ['x-redirect', '/elsewhere'] }))
    assert.deepEqual(moved.decision, { kind: 'redirect', url: '/elsewhere', status: 302 })
    assert.equal((await ask(connection, bodyChunk('a', 'some body'))).decision.kind, 'allow')
    const pieces = await Promise.all(
      Array.from({ length: 12 }, (_, chunkIndex) =>
        ask(connection, bodyChunk('a', 'x'.repeat(65_536), { chunkIndex, isLast: chunkIndex === 11 })),
      ),
    )
    assert.ok(
      pieces.every(({ decision }) => decision.kind === 'allow'),
      'pieces of one body under way together',
    )
    const response = await ask(connection, responseHeaders('a'))
    assert.deepEqual(response.responseHeaders, [{ op: 'set', name: 'x-ref-agent-response', value: '1' }])
    assert.ok((await connection.ping(5000)) >= 0)
    const many = await Promise.all(
      Array.from({ length: 200 }, (_, n) => ask(connection, requestHeaders(`many-${n}`))),
    )
    assert.deepEqual(
      many.map((reply) => reply.correlationId),
      Array.from({ length: 200 }, (_, n) => `many-${n}`),
    )
    assert.equal(connection.pendingCount, 0)
  })
}
