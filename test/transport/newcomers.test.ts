import assert from 'node:assert/strict'
import { type ClientHttp2Session, connect as connectSession } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Connection } from '../../src/transport/connection.ts'
import { listenGrpc } from '../../src/transport/grpc/grpc-listener.ts'
import type { GrpcListenerOptions } from '../../src/transport/grpc/grpc-options.ts'
import { dialReverse } from '../../src/transport/reverse/reverse-dialer.ts'
import { listenReverse } from '../../src/transport/reverse/reverse-listener.ts'
import { certificates } from '../conformance/support/certificates.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'

const HEALTH_CHECK = '/grpc.health.v1.Health/Check'

interface GrpcHouse {
  readonly port: number
  /** Codes of those that were closed, in order. */
  readonly dropped: string[]
}

async function grpcHouse(t: TestContext, options: GrpcListenerOptions): Promise<GrpcHouse> {
  const dropped: string[] = []
  const listener = await listenGrpc('127.0.0.1:0', new ScriptedAgent().options, {
    ...options,
    onDropped: (_peer, { code }) => dropped.push(code),
  })
  t.after(() => listener.close())
  return { port: listener.port, dropped }
}

/** A client that greeted and made no call. */
async function session(t: TestContext, { port }: GrpcHouse): Promise<ClientHttp2Session> {
  const client = connectSession(`http://127.0.0.1:${port}`)
  client.on('error', () => {})
  t.after(() => client.destroy())
  await new Promise((resolve) => client.once('remoteSettings', resolve))
  return client
}

async function call(client: ClientHttp2Session, path: string): Promise<void> {
  const stream = client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' })
  stream.on('error', () => {})
  stream.resume()
  stream.end(Buffer.alloc(5))
  await new Promise((resolve) => stream.once('close', resolve))
}

async function silentSocket(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  t.after(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

test('gRPC clients without a call are bounded: the oldest gives way, one that made a call does not', async (t) => {
  const house = await grpcHouse(t, { maxNewcomers: 3 })
  const caller = await session(t, house)
  await call(caller, HEALTH_CHECK)
  const idle = [await session(t, house), await session(t, house), await session(t, house)]
  assert.deepEqual(house.dropped, [])
  await call(await session(t, house), HEALTH_CHECK)
  await eventually('the oldest gave way', () => idle[0]!.closed)
  assert.deepEqual(house.dropped, ['OVERLOADED'])
  assert.deepEqual(
    [caller, ...idle].map(({ closed }) => closed),
    [false, true, false, false],
  )
})

test('a gRPC client that makes no call in time is closed; one that made a call stays', async (t) => {
  const house = await grpcHouse(t, { firstCallTimeoutMs: 150 })
  const caller = await session(t, house)
  await call(caller, HEALTH_CHECK)
  const idle = await session(t, house)
  await eventually('it is closed', () => idle.closed)
  assert.deepEqual(house.dropped, ['TIMEOUT'])
  assert.equal(caller.closed, false)
})

test('a call that nobody serves gains a client no time', async (t) => {
  const house = await grpcHouse(t, { firstCallTimeoutMs: 150 })
  const client = await session(t, house)
  await call(client, '/nobody.Serves/This')
  await eventually('it is closed', () => client.closed)
  assert.deepEqual(house.dropped, ['TIMEOUT'])
})

test('TLS handshakes that do not end are bounded: the oldest gives way, and agents get in and stay', async (t) => {
  const { ca, server, client } = certificates()
  const refused: string[] = []
  const connections: Connection[] = []
  const listener = await listenReverse('tls://127.0.0.1:0', {
    proxyId: 'weir',
    proxyVersion: '1',
    tls: { ...server, clientCa: ca },
    maxPendingRegistrations: 3,
    admit: () => ({ isAdmitted: true, connectionId: 'c' }),
    onConnection: (connection) => connections.push(connection),
    onRefused: (_peer, { code }) => refused.push(code),
  })
  t.after(() => listener.close())
  const silent: Socket[] = []
  for (let n = 0; n < 3; n++) silent.push(await silentSocket(t, listener.port))
  const link = await dialReverse(listener.address, {
    agentId: 'waf',
    agent: new ScriptedAgent().options,
    tls: { ca, ...client },
  })
  t.after(() => link.close())
  await eventually('the oldest gave way', () => silent[0]!.closed)
  assert.deepEqual(refused, ['OVERLOADED'])
  for (let n = 0; n < 5; n++) silent.push(await silentSocket(t, listener.port))
  await eventually('three are left', () => silent.filter(({ closed }) => !closed).length === 3)
  assert.equal(refused.length, 5)
  assert.equal(connections.length, 1)
  assert.equal(connections[0]!.isClosed, false)
  assert.equal(link.isClosed, false)
})

test('a TLS handshake that does not end in time is closed and told', async (t) => {
  const { server } = certificates()
  const refused: string[] = []
  const listener = await listenReverse('tls://127.0.0.1:0', {
    proxyId: 'weir',
    proxyVersion: '1',
    tls: server,
    registrationTimeoutMs: 100,
    admit: () => ({ isAdmitted: true, connectionId: 'c' }),
    onConnection: () => undefined,
    onRefused: (_peer, { code }) => refused.push(code),
  })
  t.after(() => listener.close())
  const silent = await silentSocket(t, listener.port)
  await eventually('it is closed', () => silent.closed)
  await eventually('it is told', () => refused.length === 1)
  assert.deepEqual(refused, ['TIMEOUT'])
})
