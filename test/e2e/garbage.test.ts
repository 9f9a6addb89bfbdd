import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { StatusView } from '../../src/admin/views.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { type Daemon, Place } from '../daemon/harness.ts'
import { AgentProcess } from '../integration/agent-process.ts'
import { ask, HANDSHAKE } from '../support/asking.ts'
import { eventually } from '../support/eventually.ts'
import { requestHeaders } from '../support/sample-events.ts'
import { frame } from '../transport/support/raw-peer.ts'
import { Clients, exchangeWith } from './clients.ts'
import { babbleOnCalls, breakHttp2 } from './grpc-flood.ts'
import { GUARD_TOKEN_SHA256, startGuard } from './guard.ts'
import { HostileAgent } from './hostile-agent.ts'
import { babbleHttp, breakHttp, smuggle } from './http-flood.ts'
import { babbleOnLinks, breakGreetings } from './link-flood.ts'
import { Noise } from './noise.ts'
import { openDescriptors, residentBytes, restingDescriptors } from './process-facts.ts'
import { drip } from './talk.ts'

const SEED = Number(process.env['WEIR_GARBAGE_SEED'] ?? 20_261_121)
const LEAST_TOTAL = 100_000
/** Longer than the 10 s that the listeners leave to a greeting. */
const DRIP_MS = 15_000
/** Of the resident memory after the first round, when Node's heap has its size. */
const MOST_GROWTH = 64 * 1024 * 1024
const ROUNDS = 2

async function recordingUpstream(t: TestContext): Promise<{ port: number; urls: string[] }> {
  const urls: string[] = []
  const server = createServer((request, response) => {
    urls.push(request.url ?? '')
    request.resume().on('end', () => response.end('upstream'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, urls }
}

function configuration(upstream: number): string {
  const to = `upstream: "http://127.0.0.1:${upstream}"`
  return `
listen:
  http: 127.0.0.1:0
  grpc: 127.0.0.1:0
  socket: unix:./proxies.sock
  reverse: [unix:./agents.sock]
  admin: unix:./admin.sock
http: { headersTimeoutMs: 500, bodyIdleTimeoutMs: 2000, upstream: { keepAliveTimeoutMs: 200 } }
defaults: { reconnect: { maxMs: 300 } }
agents:
  guard: { endpoint: unix:./guard.sock }
  hostile: { reverse: { tokenSha256: ${GUARD_TOKEN_SHA256} } }
  brute: { endpoint: unix:./brute.sock, timeoutMs: 250 }
routes:
  - { name: events, match: { host: shop.example.com, path: /* }, ${to}, agents: [guard] }
  - { name: good, match: { path: /good }, ${to}, agents: [guard] }
  - { name: hostile, match: { path: /hostile }, ${to}, agents: [hostile] }
  - { name: brute, match: { path: /brute }, ${to}, agents: [brute] }
log: { sampleAllows: 0 }
`
}

/** Figures that must not drift: open requests by the CLI, pools by the metrics. */
async function gauges(daemon: Daemon): Promise<string> {
  const { text } = await daemon.admin('/metrics')
  const lines = text.split('\n').filter((line) => /^weir_(pool_\w+|in_flight|waiting)\{/.test(line))
  const status = JSON.parse((await daemon.admin('/v1/status')).text) as StatusView
  return [...lines.sort(), `open ${status.openRequests}`, `ready ${status.agents.ready}`].join('\n')
}

async function strays(daemon: Daemon, agent: string): Promise<number> {
  const { text } = await daemon.admin('/metrics')
  return Number(
    new RegExp(`^weir_stray_replies_total\\{agent="${agent}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0,
  )
}

const FAULTS = [
  'invented',
  'nameless',
  'undecodable',
  'status-42',
  'unset',
  'unknown',
  'half-frame',
  'garbage',
  'oversize',
]

/** Asks the agent for each of its faults; a fault never passes a request. Returns how many were asked for. */
async function provoke(daemon: Daemon): Promise<number> {
  const all: Promise<void>[] = []
  for (let round = 0; round < 10; round++)
    for (const fault of FAULTS)
      all.push(
        exchangeWith(daemon.port, `/brute?fault=${fault}`).then(({ status, headers, failure }) => {
          assert.ok(status >= 500, `${fault}: ${status} ${failure}`)
          assert.ok(headers['x-weir-correlation-id'])
        }),
      )
  await Promise.all(all)
  return all.length
}

/** Both ways in for proxies, and HTTP, still do what they are for. */
async function assertServes(daemon: Daemon, grpc: string, socket: string): Promise<void> {
  const answer = await daemon.get('/good')
  assert.deepEqual([answer.status, answer.text], [200, 'upstream'])
  assert.ok(answer.headers['x-guard'] && answer.headers['x-weir-correlation-id'])
  assert.equal((await daemon.get('/nowhere')).status, 404)
  for (const dialer of [grpcDialer(grpc, HANDSHAKE), udsDialer(socket, HANDSHAKE)]) {
    const connection = await dialer.dial(AbortSignal.timeout(5000))
    const reply = await ask(connection, requestHeaders('sound'))
    assert.equal(reply.decision.kind, 'allow', dialer.endpoint)
    assert.equal(reply.responseHeaders[0]?.name, 'x-guard', dialer.endpoint)
    await connection.close()
  }
}

test('a hundred thousand pieces of garbage on every listener change nothing and leave nothing behind', async (t) => {
  const place = await Place.make(t)
  const upstream = await recordingUpstream(t)
  await startGuard(t, 'uds', place.socket('guard'))
  const brute = await AgentProcess.start('brute', ['uds', place.socket('brute'), 'faults'])
  t.after(() => brute.kill())
  await writeFile(place.file, configuration(upstream.port))
  const daemon = await place.serve()
  const [, grpcPort] = await daemon.process.said(/"option":"listen\.grpc","address":"[^"]*:(\d+)"/)
  const [http, grpc] = [daemon.port, Number(grpcPort)]
  const [socket, reverse] = [place.socket('proxies'), place.socket('agents')]
  const { pid } = daemon.process
  const isSettled = async (): Promise<boolean> => /^ready 2$/m.test(await gauges(daemon))
  await eventually('the dialed agents are ready', isSettled, 10_000)
  await assertServes(daemon, `grpc://127.0.0.1:${grpc}`, socket)
  await eventually('nothing is open', async () => /^open 0$/m.test(await gauges(daemon)))
  const before = {
    gauges: await gauges(daemon),
    descriptors: await restingDescriptors(pid),
  }

  const slow = Promise.all([
    drip(http, Buffer.from(`GET /good HTTP/1.1\r\nHost: h\r\nX: ${'y'.repeat(1000)}`), 50, DRIP_MS),
    drip(grpc, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 700, DRIP_MS),
    ...[socket, reverse].map((path) => drip(path, frame(0x01, { filler: 'x'.repeat(1000) }), 100, DRIP_MS)),
  ])
  /* Awaited at the end; what fails before is not to be hidden by it. */
  slow.catch(() => undefined)
  const sound = new Clients(http, 2, () => '/good')
  const hostile = await Promise.all([1, 2].map(() => HostileAgent.dialIn(reverse, 'hostile', 'secret')))
  let seed = SEED
  const noise = (): Noise => new Noise(seed++)
  const counts: Record<string, number> = {}
  const measured = async (name: string, work: () => Promise<number>): Promise<void> => {
    const startedAt = performance.now()
    const count = await work()
    counts[name] = (counts[name] ?? 0) + count
    t.diagnostic(`${name}: ${count} in ${(performance.now() - startedAt).toFixed()} ms`)
  }
  /* These wait for the end of their greeting, for the most part. */
  const http2 = breakHttp2(grpc, noise(), 500)
  http2.catch(() => undefined)
  const resident: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    await measured('replies nobody asked for', async () => {
      const before = hostile.reduce((sum, agent) => sum + agent.strays, 0)
      await Promise.all(hostile.map((agent) => agent.babble(noise(), 15_000 / ROUNDS)))
      for (let asked = 0; asked < 25; asked++)
        assert.equal((await exchangeWith(http, '/hostile')).status, 200)
      const sent = hostile.reduce((sum, agent) => sum + agent.strays, 0)
      await eventually('all were counted', async () => (await strays(daemon, 'hostile')) === sent, 10_000)
      assert.ok(hostile.every(({ isCut }) => !isCut))
      return sent - before
    })
    for (const encoding of ['json', 'msgpack'] as const)
      await measured(`frames in ${encoding}`, () => babbleOnLinks(socket, encoding, noise(), 20_000 / ROUNDS))
    await measured('nonsense over HTTP', () => babbleHttp(http, noise(), 25_000 / ROUNDS))
    await measured('greetings to listen.socket', () => breakGreetings(socket, noise(), 2000 / ROUNDS))
    await measured('greetings to listen.reverse', () => breakGreetings(reverse, noise(), 2000 / ROUNDS))
    await measured('broken HTTP', () => breakHttp(http, noise(), 2000 / ROUNDS))
    await measured('smuggling', () => smuggle(http))
    await measured('gRPC calls', () => babbleOnCalls(grpc, noise(), 2000 / ROUNDS))
    await measured('faults of a dialed agent', () => provoke(daemon))
    resident.push(residentBytes(pid))
  }
  await measured('broken HTTP/2', () => http2)
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  assert.ok(total >= LEAST_TOTAL, `${total} pieces`)

  for (const { status, failure, headers } of await sound.stop()) {
    assert.equal(status, 200, `a sound request beside the garbage: ${failure}`)
    assert.ok(headers['x-weir-correlation-id'])
  }
  for (const agent of hostile) agent.leave()
  const [refused] = await slow
  assert.match(refused!, /^HTTP\/1\.1 408 /)
  assert.deepEqual(
    upstream.urls.filter((url) => url.includes('smuggled')),
    [],
  )
  await assertServes(daemon, `grpc://127.0.0.1:${grpc}`, socket)
  const isAsBefore = async (): Promise<boolean> =>
    (await gauges(daemon)) === before.gauges && openDescriptors(pid) <= before.descriptors
  await eventually('all is as before', isAsBefore, 10_000).catch(async () =>
    assert.deepEqual(
      { gauges: await gauges(daemon), descriptors: openDescriptors(pid) },
      { gauges: before.gauges, descriptors: before.descriptors },
    ),
  )
  const [first = 0] = resident
  const growth = residentBytes(pid) - first
  t.diagnostic(
    `${total} pieces, resident after each round: ${resident.map((bytes) => bytes >> 20).join(', ')} MB`,
  )
  assert.ok(growth < MOST_GROWTH, `grew by ${growth} bytes after the first round`)
  const status = place.weir('status', '--json', '--admin', `unix:${place.socket('admin')}`)
  /* Not ready: the hostile agent is gone. */
  assert.equal(await status.ended(), 1)
  const view = JSON.parse(status.output()) as StatusView
  assert.deepEqual([view.state, view.openRequests, view.pid], ['serving', 0, pid])
  const output = daemon.process.output()
  assert.ok(!output.includes('an internal error was survived'), /.*an internal error.*/.exec(output)?.[0])
  daemon.process.child.kill('SIGTERM')
  assert.equal(await daemon.process.ended(), 0)
})
