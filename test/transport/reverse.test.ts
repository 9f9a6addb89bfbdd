import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { WeirError } from '../../src/core/errors.ts'
import type { Connection } from '../../src/transport/connection.ts'
import { dialReverse } from '../../src/transport/reverse/reverse-dialer.ts'
import {
  type Admission,
  listenReverse,
  type ReverseListenerOptions,
  type ReversePeer,
} from '../../src/transport/reverse/reverse-listener.ts'
import { hashToken, tokenMatches } from '../../src/transport/reverse/token-hash.ts'
import type { RegistrationRequest } from '../../src/wire/codec.ts'
import { certificates } from '../conformance/support/certificates.ts'
import { ask, failureOf, Observed, soon } from '../conformance/support/observed.ts'
import { requestHeaders } from '../conformance/support/sample-events.ts'
import { ScriptedAgent } from '../conformance/support/scripted-agent.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temp-folder.ts'
import { allow, CAPABILITIES, frame, RawClient, rawServer } from './support/raw-peer.ts'

const TOKEN = 'a-long-random-token'

class House {
  readonly connections: Connection[] = []
  readonly requests: RegistrationRequest[] = []
  readonly peers: ReversePeer[] = []
  readonly refused: WeirError[] = []
  address = ''
  port = 0

  async open(t: TestContext, options: Partial<ReverseListenerOptions> = {}, address?: string): Promise<this> {
    const listener = await listenReverse(address ?? `unix:${join(await temporaryFolder(t), 'r.sock')}`, {
      proxyId: 'weir',
      proxyVersion: '0.1.0',
      admit: (request, peer) => this.admit(request, peer),
      onConnection: (connection) => this.connections.push(connection),
      onRefused: (_peer, reason) => this.refused.push(reason),
      ...options,
    })
    t.after(() => listener.close())
    this.address = listener.address
    this.port = listener.port
    return this
  }

  admit(request: RegistrationRequest, peer: ReversePeer): Admission {
    this.requests.push(request)
    this.peers.push(peer)
    const isKnown = request.agentId === 'waf'
    /* Both are looked at whatever the other says, as a real admission should. */
    const isProven = tokenMatches(request.authToken, hashToken(TOKEN))
    if (!isKnown || !isProven) return { isAdmitted: false }
    if (this.connections.filter(({ isClosed }) => !isClosed).length >= 2)
      return { isAdmitted: false, reason: 'Connection limit reached' }
    return { isAdmitted: true, connectionId: `waf-${this.requests.length}` }
  }

  get path(): string {
    return this.address.slice('unix:'.length)
  }
}

function register(parts: Record<string, unknown> = {}): Buffer {
  return frame(0x01, {
    protocol_version: 2,
    agent_id: 'waf',
    capabilities: CAPABILITIES,
    auth_token: TOKEN,
    metadata: null,
    ...parts,
  })
}

test('an agent is admitted with exactly the answer that the protocol names, and events follow', async (t) => {
  const house = await new House().open(t)
  const client = new RawClient(t, house.path)
  client.socket.write(register({ metadata: { region: 'north' } }))
  await eventually('the connection', () => house.connections.length === 1)
  const asked = ask(house.connections[0]!, requestHeaders('c-1'))
  await eventually('answer and event', () => client.frames.length === 2)
  assert.deepEqual(client.json(0), {
    success: true,
    error: null,
    proxy_id: 'weir',
    proxy_version: '0.1.0',
    connection_id: 'waf-1',
  })
  assert.deepEqual(
    client.frames.map(({ type }) => type),
    [0x02, 0x10],
  )
  assert.deepEqual(house.requests[0]?.metadata, { region: 'north' })
  client.socket.write(allow('c-1'))
  await soon('the reply', asked.outcome)
  assert.equal(house.connections[0]?.transport, 'reverse')
  assert.equal(house.connections[0]?.capabilities.agentId, 'raw')
})

const REJECTED = 'Invalid message format: Registration rejected'
const REFUSALS: readonly [title: string, parts: Record<string, unknown>, text: string][] = [
  ['another version is refused', { protocol_version: 1 }, 'Protocol version mismatch: expected 2, got 1'],
  ['an empty id is refused', { agent_id: '' }, 'Invalid message format: Agent ID cannot be empty'],
  ['an unknown id is refused', { agent_id: 'nobody' }, REJECTED],
  ['a wrong token is refused with the same words', { auth_token: 'guess' }, REJECTED],
  ['an empty token is refused', { auth_token: '' }, REJECTED],
  ['a missing token is refused', { auth_token: null }, REJECTED],
]

for (const [title, parts, text] of REFUSALS) {
  test(title, async (t) => {
    const house = await new House().open(t)
    const client = new RawClient(t, house.path)
    client.socket.write(register(parts))
    await eventually('the end', () => client.isEnded)
    assert.equal(client.frames.length, 1)
    assert.equal(client.json(0)['success'], false)
    assert.equal(client.json(0)['error'], text)
    assert.equal(client.json(0)['connection_id'], '')
    assert.equal(house.connections.length, 0)
    assert.equal(house.refused.length, 1)
  })
}

test('the limit is told before any success, and dead connections free their places', async (t) => {
  const house = await new House().open(t)
  const agent = new ScriptedAgent()
  const dial = () => dialReverse(house.address, { agentId: 'waf', authToken: TOKEN, agent: agent.options })
  for (let round = 0; round < 10; round++) {
    const links = [await dial(), await dial()]
    const error = await failureOf(dial)
    assert.equal(error.code, 'PERMISSION_DENIED')
    assert.match(error.message, /Connection limit reached/)
    for (const link of links) await link.close()
    await eventually('the places are free', () => house.connections.every(({ isClosed }) => isClosed))
  }
  assert.equal(house.connections.length, 20)
})

test('success is not written before the admission is decided, and no event is lost meanwhile', async (t) => {
  const house = new House()
  let decide: (admission: Admission) => void = () => {}
  await house.open(t, {
    admit: () => new Promise((resolve) => (decide = resolve)),
  })
  const client = new RawClient(t, house.path)
  client.socket.write(register())
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(client.received.length, 0)
  decide({ isAdmitted: true, connectionId: 'late' })
  await eventually('the answer', () => client.frames.length === 1)
  assert.equal(client.json(0)['connection_id'], 'late')
})

test('an admission that throws refuses and tells the agent nothing of it', async (t) => {
  const house = await new House().open(t, {
    admit: () => Promise.reject(new Error('database is at 10.0.0.7')),
  })
  const client = new RawClient(t, house.path)
  client.socket.write(register())
  await eventually('the end', () => client.isEnded)
  assert.equal(client.json(0)['error'], REJECTED)
})

test('what an admission reserved is given back when the agent is gone by then', async (t) => {
  let isWithdrawn = false
  let decide: (admission: Admission) => void = () => {}
  const house = await new House().open(t, {
    registrationTimeoutMs: 200,
    admit: () => new Promise((resolve) => (decide = resolve)),
  })
  const client = new RawClient(t, house.path)
  client.socket.write(register())
  /* The deadline passes while the admission hangs. */
  await eventually('the agent is hung up on', () => client.isClosed)
  decide({ isAdmitted: true, connectionId: 'x', withdraw: () => (isWithdrawn = true) })
  await eventually('it is given back', () => isWithdrawn)
  assert.equal(house.connections.length, 0)
})

for (const [title, bytes] of [
  ['nothing', Buffer.alloc(0)],
  ['half a registration', register().subarray(0, 40)],
  ['a frame of another type first', allow('c-1')],
  ['a registration that is not JSON', frame(0x01, Buffer.from('nope'))],
  ['a registration of more than 64 KiB', register({ metadata: 'x'.repeat(70_000) })],
  ['a second registration before the answer', Buffer.concat([register(), register()])],
  ['more frames before the answer', Buffer.concat([register(), frame(0x30, { state: 1 })])],
] as const) {
  test(`an agent that sends ${title} is hung up on in time`, async (t) => {
    const house = await new House().open(t, {
      registrationTimeoutMs: 200,
      admit: async () => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        return { isAdmitted: true, connectionId: 'x' }
      },
    })
    const client = new RawClient(t, house.path)
    client.socket.write(bytes)
    await eventually('the end', () => client.isClosed)
    assert.equal(client.received.length, 0)
    assert.equal(house.connections.length, 0)
  })
}

test('sockets that do not register are bounded: the longest silent one gives way, and agents get in', async (t) => {
  const house = await new House().open(t, { maxPendingRegistrations: 3 })
  const admitted = new RawClient(t, house.path)
  admitted.socket.write(register())
  await eventually('it is in', () => house.connections.length === 1)
  const silent: RawClient[] = []
  for (let n = 0; n < 3; n++) {
    const client = new RawClient(t, house.path)
    await new Promise((resolve) => client.socket.once('connect', resolve))
    silent.push(client)
  }
  const later = new RawClient(t, house.path)
  later.socket.write(register())
  await eventually('the next agent is in', () => house.connections.length === 2)
  await eventually('the oldest gave way', () => silent[0]!.isClosed)
  assert.equal(house.refused[0]?.code, 'OVERLOADED')
  assert.deepEqual(
    silent.map(({ isClosed }) => isClosed),
    [true, false, false],
  )
  assert.equal(admitted.isClosed, false)
})

test('an agent whose registration is being judged does not give way to a silent one', async (t) => {
  let decide: (() => void) | undefined
  const house = await new House().open(t, {
    maxPendingRegistrations: 1,
    admit: () =>
      new Promise((resolve) => {
        decide = () => resolve({ isAdmitted: true, connectionId: 'x' })
      }),
  })
  const agent = new RawClient(t, house.path)
  agent.socket.write(register())
  await eventually('it is being judged', () => decide !== undefined)
  const silent = new RawClient(t, house.path)
  await eventually('the silent one is closed', () => silent.isClosed)
  decide!()
  await eventually('the agent is in', () => house.connections.length === 1)
})

test('the encoding is JSON unless both ends are ours', async (t) => {
  const house = await new House().open(t)
  const raw = new RawClient(t, house.path)
  raw.socket.write(register({ metadata: { 'weir.encodings': ['msgpack'] } }))
  await eventually('the answer', () => raw.frames.length === 1)
  assert.equal(raw.json(0)['encoding'], 'msgpack')
  ask(house.connections[0]!, requestHeaders('c-1'))
  await eventually('the event', () => raw.frames.length === 2)
  assert.notEqual(raw.frames[1]!.payload[0], 0x7b)

  const plain = new RawClient(t, house.path)
  plain.socket.write(register({ metadata: ['weir.encodings'] }))
  await eventually('the answer', () => plain.frames.length === 1)
  assert.equal('encoding' in plain.json(0), false)
})

test('an agent that dials a stock proxy speaks JSON', async (t) => {
  const seen: Buffer[] = []
  const path = await rawServer(t, (socket) => {
    socket.on('data', (chunk) => {
      seen.push(chunk)
      if (seen.length > 1) return
      const facts = { success: true, error: null, proxy_id: 'zentinel-proxy', proxy_version: '0.6.54' }
      socket.write(frame(0x02, { ...facts, connection_id: 'waf-1' }))
      socket.write(frame(0x41, { sequence: 0, timestamp_ms: 1 }))
    })
  })
  const agent = new ScriptedAgent()
  const link = await dialReverse(`unix:${path}`, { agentId: 'waf', agent: agent.options })
  assert.equal(link.proxyVersion, '0.6.54')
  link.sendHealth({ agentId: 'waf', state: 'healthy', timestampMs: 1 })
  await eventually('registration, pong and report', () => Buffer.concat(seen).includes('"state"'))
  const registration = JSON.parse(seen[0]!.subarray(5).toString()) as Record<string, unknown>
  assert.equal(registration['protocol_version'], 2)
  assert.equal(registration['agent_id'], 'waf')
  await link.close()
})

test('a dial in is bounded, refused and called off with the right codes', async (t) => {
  const agent = new ScriptedAgent()
  const facts = { agentId: 'waf', agent: agent.options }
  const silent = await rawServer(t, (socket) => socket.resume())
  assert.equal(
    (await failureOf(() => dialReverse(`unix:${silent}`, { ...facts, timeoutMs: 80 }))).code,
    'TIMEOUT',
  )
  const hangsUp = await rawServer(t, (socket) => socket.once('data', () => socket.end()))
  assert.equal((await failureOf(() => dialReverse(`unix:${hangsUp}`, facts))).code, 'UNAVAILABLE')
  assert.equal((await failureOf(() => dialReverse('unix:/nonexistent/r.sock', facts))).code, 'UNAVAILABLE')
  assert.equal((await failureOf(() => dialReverse('127.0.0.1:1', facts))).code, 'INVALID_ARGUMENT')
  const caller = new AbortController()
  const dialing = failureOf(() => dialReverse(`unix:${silent}`, { ...facts, signal: caller.signal }))
  caller.abort()
  assert.equal((await dialing).code, 'CANCELLED')
  assert.equal(agent.links.length, 0)
})

test('a success followed by the end opens the link and closes it', async (t) => {
  const path = await rawServer(t, (socket) => {
    socket.once('data', () => {
      socket.end(frame(0x02, { success: true, proxy_id: 'p', proxy_version: '1', connection_id: 'c' }))
    })
  })
  const agent = new ScriptedAgent()
  const link = await dialReverse(`unix:${path}`, { agentId: 'waf', agent: agent.options })
  await eventually('the link is closed', () => link.isClosed)
  assert.equal(agent.links.length, 1)
  assert.equal(agent.closed.length, 1)
})

test('over mutual TLS the admission sees the names of the client certificate', async (t) => {
  const { ca, server, client, stranger } = certificates()
  const house = await new House().open(t, { tls: { ...server, clientCa: ca } }, 'tls://127.0.0.1:0')
  const agent = new ScriptedAgent()
  const address = `tls://localhost:${house.port}`
  const facts = { agentId: 'waf', authToken: TOKEN, agent: agent.options }
  const link = await dialReverse(address, { ...facts, tls: { ca, ...client } })
  assert.deepEqual(house.peers[0]?.certificate?.subjectAltNames, [
    'DNS:agent.example',
    'URI:spiffe://weir.example/waf',
  ])
  assert.equal(house.peers[0]?.certificate?.commonName, 'client')
  await link.close()
  assert.equal((await failureOf(() => dialReverse(address, { ...facts, tls: { ca } }))).code, 'UNAVAILABLE')
  const foreign = await failureOf(() => dialReverse(address, { ...facts, tls: { ca, ...stranger } }))
  assert.equal(foreign.code, 'UNAVAILABLE')
  assert.equal(
    (await failureOf(() => dialReverse(address, { ...facts, tls: { ...client } }))).code,
    'UNAVAILABLE',
  )
  assert.equal(house.peers.length, 1)
})

test('a TLS client that never finishes its handshake is hung up on', async (t) => {
  const { server } = certificates()
  const house = await new House().open(t, { tls: server, registrationTimeoutMs: 150 }, 'tls://127.0.0.1:0')
  const client = new RawClient(t, { host: '127.0.0.1', port: house.port })
  await eventually('the socket is closed', () => client.isClosed)
})

test('a reverse socket file can be entered by its owner alone', async (t) => {
  const house = await new House().open(t)
  assert.equal(statSync(house.path).mode & 0o777, 0o600)
})

test('tls without a certificate is refused before listening', async () => {
  const error = await failureOf(() =>
    new House().open({ after() {} } as unknown as TestContext, {}, 'tls://127.0.0.1:0'),
  )
  assert.equal(error.code, 'INVALID_ARGUMENT')
})

test('an agent that dies is noticed without traffic', async (t) => {
  const house = await new House().open(t)
  const client = new RawClient(t, house.path)
  client.socket.write(register())
  await eventually('the connection', () => house.connections.length === 1)
  const observed = new Observed()
  house.connections[0]!.observe(observed)
  client.socket.destroy()
  await eventually('its death', () => observed.closed.length === 1)
})

test('tokens match by their hash alone', () => {
  assert.equal(tokenMatches(TOKEN, hashToken(TOKEN)), true)
  assert.equal(tokenMatches(`${TOKEN} `, hashToken(TOKEN)), false)
  assert.equal(tokenMatches(undefined, hashToken('')), false)
  assert.equal(tokenMatches('', hashToken('')), false)
  assert.equal(tokenMatches(TOKEN, 'abcd'), false)
  assert.equal(tokenMatches(TOKEN, hashToken(TOKEN).toUpperCase()), true)
})
