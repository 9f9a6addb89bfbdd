import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WeirError } from '../../src/core/errors.ts'
import { allow } from '../../src/sdk/answer.ts'
import { type DialInOptions, dialIn } from '../../src/sdk/dial-in.ts'
import type { DialState } from '../../src/sdk/dial-keeper.ts'
import type { Connection } from '../../src/transport/connection.ts'
import { listenReverse, type ReverseListenerOptions } from '../../src/transport/reverse/reverse-listener.ts'
import { hashToken, tokenMatches } from '../../src/transport/reverse/token-hash.ts'
import type { RegistrationRequest } from '../../src/wire/codec.ts'
import { certificates } from '../conformance/support/certificates.ts'
import { ask } from '../support/asking.ts'
import { eventually } from '../support/eventually.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { requestHeaders } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const TOKEN = 'correct horse battery staple'
const agent = { name: 'pii', onRequestHeaders: () => allow().addTag('pii') }
const quick: DialInOptions = { probe: {}, backoff: { initialMs: 10, maxMs: 40 } }

/** A proxy that admits agents with the right token. */
async function proxy(address: string, over: Partial<ReverseListenerOptions> = {}) {
  const connections: Connection[] = []
  const registrations: RegistrationRequest[] = []
  const listener = await listenReverse(address, {
    proxyId: 'weir',
    proxyVersion: '0.1.0',
    admit: (request) =>
      tokenMatches(request.authToken, hashToken(TOKEN))
        ? { isAdmitted: true, connectionId: `${request.agentId}-${connections.length}` }
        : { isAdmitted: false },
    onConnection: (connection, request) => {
      connections.push(connection)
      registrations.push(request)
    },
    ...over,
  })
  const live = (): Connection[] => connections.filter((connection) => !connection.isClosed)
  return { listener, connections, registrations, live }
}

function dial(t: TestContext, address: string, options: DialInOptions = {}) {
  const states: [DialState, number][] = []
  const running = dialIn(address, agent, {
    ...quick,
    ...options,
    onState: (state, connection) => void states.push([state, connection]),
  })
  t.after(() => running.close({ timeoutMs: 0 }))
  return { running, states }
}

for (const kind of ['unix', 'tcp'] as const) {
  test(`${kind}: an agent dials in over as many connections as asked for, as one instance`, async (t) => {
    const folder = await temporaryFolder(t)
    const { listener, registrations, live } = await proxy(
      kind === 'unix' ? `unix:${join(folder, 'p.sock')}` : 'tcp://127.0.0.1:0',
    )
    t.after(() => listener.close())
    const { running } = dial(t, listener.address, { token: TOKEN, connections: 3 })
    await eventually('three connections', () => live().length === 3 && running.links === 3)
    const replies = await Promise.all(live().map((connection, n) => ask(connection, requestHeaders(`r${n}`))))
    for (const reply of replies) assert.deepEqual(reply.audit.tags, ['pii'])
    const facts = registrations.map(({ agentId, metadata }) => {
      const { instance, epoch } = metadata as Record<string, unknown>
      return `${agentId} ${String(instance)} ${String(epoch)}`
    })
    assert.equal(new Set(facts).size, 1)
    assert.match(facts[0]!, /^pii [0-9a-f-]{36} \d{13}$/)
  })
}

test('tls: an agent trusts the authority it is given, shows its certificate, and refuses any other proxy', async (t) => {
  const { ca, server, client, stranger } = certificates()
  const names: string[][] = []
  const secured = await proxy('tls://127.0.0.1:0', {
    tls: { ...server, clientCa: ca },
    admit: (_request, peer) => {
      names.push([...(peer.certificate?.subjectAltNames ?? [])])
      return { isAdmitted: true, connectionId: 'c' }
    },
  })
  t.after(() => secured.listener.close())
  dial(t, secured.listener.address, { tls: { ca, ...client } })
  await eventually('it is connected', () => secured.live().length === 1)
  assert.ok(names[0]!.includes('DNS:agent.example'))
  assert.deepEqual((await ask(secured.live()[0]!, requestHeaders('a'))).audit.tags, ['pii'])
  const { states } = dial(t, secured.listener.address, { tls: { ca: stranger.cert, ...client } })
  await eventually('it will not talk to it', () => states.some(([{ state }]) => state === 'waiting'))
  assert.equal(secured.connections.length, 1)
})

test('each connection comes back on its own, and all of them after a restart of the proxy', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const first = await proxy(address)
  const { running } = dial(t, address, { token: TOKEN, connections: 2 })
  await eventually('two connections', () => first.live().length === 2)
  first.live()[0]!.destroy(new WeirError('CONNECTION_LOST', 'the test ends it'))
  await eventually('the lost one is replaced', () => first.connections.length === 3)
  assert.equal(first.live().length, 2)
  await first.listener.close()
  await eventually('both are lost', () => running.links === 0)
  const second = await proxy(address)
  t.after(() => second.listener.close())
  await eventually('both are back', () => second.live().length === 2)
  const reply = await ask(second.live()[0]!, requestHeaders('a'))
  assert.deepEqual(reply.audit.tags, ['pii'])
})

test('an agent that starts before its proxy connects when the proxy comes up', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const { states } = dial(t, address, { token: TOKEN })
  await eventually('it tried twice', () => states.filter(([{ state }]) => state === 'waiting').length >= 2)
  assert.ok(states.every(([state]) => state.state !== 'waiting' || !state.isRefused))
  const { listener, live } = await proxy(address)
  t.after(() => listener.close())
  await eventually('it is connected', () => live().length === 1)
})

test('an agent left to its defaults pauses two seconds at most, however long its proxy is away', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const clock = new FakeClock()
  const { states } = dial(t, address, { clock, random: () => 0.999, backoff: undefined })
  const pauses = (): number[] => states.flatMap(([s]) => (s.state === 'waiting' ? [s.retryInMs] : []))
  for (let n = 1; n <= 12; n++) {
    await eventually(`pause ${n}`, () => pauses().length === n)
    clock.advance(pauses().at(-1)!)
  }
  const longest = Math.max(...pauses())
  assert.ok(longest > 1900 && longest <= 2000, pauses().join(' '))
})

test('a wrong token is refused, told to the author, and tried again without end', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const { listener, connections } = await proxy(address)
  t.after(() => listener.close())
  const notices: string[] = []
  const { states } = dial(t, address, {
    token: 'guess',
    probe: { notice: (_level, message) => void notices.push(message) },
  })
  await eventually(
    'refused three times',
    () => states.filter(([{ state }]) => state === 'waiting').length >= 3,
  )
  assert.ok(states.every(([state]) => state.state !== 'waiting' || state.isRefused))
  assert.equal(connections.length, 0)
  assert.match(notices[0]!, /pii: connection 0 was refused by unix:/)
})

test('a proxy that says yes and hangs up is backed off from', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const { listener } = await proxy(address, {
    onConnection: (connection) => connection.destroy(new WeirError('OVERLOADED', 'full')),
  })
  t.after(() => listener.close())
  const { states } = dial(t, address, { token: TOKEN, backoff: { initialMs: 4, maxMs: 64 } })
  const pauses = (): number[] => states.flatMap(([s]) => (s.state === 'waiting' ? [s.retryInMs] : []))
  await eventually('six pauses', () => pauses().length >= 6)
  assert.ok(pauses()[5]! >= 32, pauses().join(' '))
})

test('closing ends the connections and the dialing', async (t) => {
  const address = `unix:${join(await temporaryFolder(t), 'p.sock')}`
  const { listener, connections, live } = await proxy(address)
  t.after(() => listener.close())
  const { running, states } = dial(t, address, { token: TOKEN, connections: 2 })
  await eventually('two connections', () => live().length === 2)
  await running.close()
  await eventually('both ended', () => live().length === 0)
  await sleep(100)
  assert.equal(connections.length, 2)
  assert.equal(states.at(-1)![0].state, 'closed')
})

test('addresses and counts that cannot work are refused at once', () => {
  const invalid = (error: unknown): boolean => error instanceof WeirError && error.code === 'INVALID_ARGUMENT'
  assert.throws(() => dialIn('localhost:1', agent), invalid)
  assert.throws(() => dialIn('unix:/tmp/x.sock', agent, { connections: 0 }), invalid)
  assert.throws(() => dialIn('unix:/tmp/x.sock', agent, { connections: 65 }), invalid)
})

test('a process whose only work is to dial in stays alive until it is told to close', async (t) => {
  const path = join(await temporaryFolder(t), 'nobody.sock')
  const index = new URL('../../src/index.js', import.meta.url).href
  const script = `
    import { dialIn } from ${JSON.stringify(index)}
    const running = dialIn(${JSON.stringify(`unix:${path}`)}, { name: 'a' }, {
      probe: {}, backoff: { initialMs: 5, maxMs: 10 },
      onState: (state) => { if (state.state === 'waiting') console.log('waiting') },
    })
    process.on('SIGTERM', () => running.close().then(() => console.log('closed')))
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script])
  t.after(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  await eventually('it retries', () => out.split('waiting').length > 4)
  assert.equal(child.exitCode, null)
  child.kill('SIGTERM')
  await eventually('it exits by itself', () => child.exitCode !== null)
  assert.match(out, /closed/)
  assert.equal(child.exitCode, 0)
})
