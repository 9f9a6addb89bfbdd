import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { failureCodeOf } from '../../src/core/agent-failure.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { Agent } from '../../src/sdk/agent.ts'
import type { AgentOptions } from '../../src/sdk/agent-options.ts'
import { allow, block, inspected, replaceBody } from '../../src/sdk/answer.ts'
import { headerOf } from '../../src/sdk/header-of.ts'
import type { RunningAgent } from '../../src/sdk/running-agent.ts'
import { serveGrpc, serveUds } from '../../src/sdk/serve.ts'
import type { Connection, Dialer, HandshakeOptions } from '../../src/transport/connection.ts'
import { grpcDialer } from '../../src/transport/grpc/grpc-dialer.ts'
import type { TlsClientOptions } from '../../src/transport/tls-options.ts'
import { udsDialer } from '../../src/transport/uds/uds-dialer.ts'
import { certificates } from '../conformance/support/certificates.ts'
import { ask, HANDSHAKE, watch } from '../support/asking.ts'
import { eventually } from '../support/eventually.ts'
import { bodyChunk, requestComplete, requestHeaders, responseHeaders } from '../support/sample-events.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

interface Wire {
  readonly name: string
  serve(t: TestContext, agent: Agent, options: AgentOptions): Promise<RunningAgent>
  dialer(agent: RunningAgent, handshake: HandshakeOptions): Dialer
}

const uds = (name: string, encodings: readonly ('json' | 'msgpack')[]): Wire => ({
  name,
  serve: async (t, agent, options) => serveUds(join(await temporaryFolder(t), 'a.sock'), agent, options),
  dialer: (agent, handshake) => udsDialer(agent.address.replace('unix:', ''), handshake, { encodings }),
})
const WIRES: readonly Wire[] = [
  uds('Unix socket, JSON', ['json']),
  uds('Unix socket, MessagePack', ['msgpack', 'json']),
  {
    name: 'gRPC',
    serve: (_t, agent, options) => serveGrpc('127.0.0.1:0', agent, options),
    dialer: (agent, handshake) => grpcDialer(agent.address, handshake),
  },
  {
    name: 'gRPC, grpc-js',
    serve: (_t, agent, options) => serveGrpc('127.0.0.1:0', agent, { ...options, implementation: 'grpc-js' }),
    dialer: (agent, handshake) => grpcDialer(agent.address, handshake),
  },
]

for (const wire of WIRES) {
  /** An agent at work and one connection to it. */
  async function setUp(
    t: TestContext,
    agent: Omit<Agent, 'name'>,
    options: AgentOptions = {},
    handshake: Partial<HandshakeOptions> = {},
  ) {
    const running = await wire.serve(t, { name: 'waf', ...agent }, { probe: {}, ...options })
    t.after(() => running.close({ timeoutMs: 0 }))
    const dial = (): Promise<Connection> =>
      wire.dialer(running, { ...HANDSHAKE, ...handshake }).dial(AbortSignal.timeout(5000))
    return { running, dial, connection: await dial() }
  }

  test(`${wire.name}: each kind of event reaches its handler and its answer comes back`, async (t) => {
    const { connection } = await setUp(t, {
      onRequestHeaders: (event) =>
        headerOf(event.headers, 'x-block') === undefined
          ? allow().setRequestHeader('x-seen', event.uri).addTag('seen')
          : block(403, 'no', { 'x-why': 'rule' }),
      onRequestBody: (chunk) => replaceBody(Buffer.from(chunk.data).toString().toUpperCase()),
      onResponseHeaders: (event) => allow().setResponseHeader('x-status', String(event.status)),
      onGuardrail: () => inspected({ detected: true }),
      onRequestComplete: () => allow().addTag('done'),
    })
    const headers = await ask(connection, requestHeaders('a'))
    assert.deepEqual(headers.requestHeaders, [{ op: 'set', name: 'x-seen', value: '/orders?id=42' }])
    assert.deepEqual(headers.audit.tags, ['seen'])
    const blocked = await ask(connection, requestHeaders('b', { headers: ['x-block', '1'] }))
    assert.deepEqual(blocked.decision, { kind: 'block', status: 403, body: 'no', headers: ['x-why', 'rule'] })
    const body = await ask(connection, bodyChunk('a', 'body'))
    assert.equal(Buffer.from(body.requestBodyMutation!.data!).toString(), 'BODY')
    const response = await ask(connection, responseHeaders('a'))
    assert.deepEqual(response.responseHeaders, [{ op: 'set', name: 'x-status', value: '200' }])
    const guardrail = await ask(connection, {
      kind: 'guardrail-inspect',
      correlationId: 'g',
      inspectionType: 'pii_detection',
      content: 'x',
      categories: [],
      metadata: {},
    })
    assert.match(Object.values(guardrail.routingMetadata)[0]!, /"detected":true/)
    assert.deepEqual((await ask(connection, requestComplete('a'))).audit.tags, ['done'])
    assert.equal(connection.pendingCount, 0)
  })

  test(`${wire.name}: a slow request does not delay another one`, async (t) => {
    let release: (() => void) | undefined
    const { connection } = await setUp(t, {
      onRequestHeaders: (event) =>
        event.uri === '/slow'
          ? new Promise<undefined>((resolve) => {
              release = () => resolve(undefined)
            })
          : undefined,
    })
    const slow = ask(connection, requestHeaders('slow', { uri: '/slow' }))
    await ask(connection, requestHeaders('fast'))
    release!()
    await slow
  })

  test(`${wire.name}: a handler that throws is a block that says it is a failure`, async (t) => {
    const { connection } = await setUp(t, {
      onRequestHeaders() {
        throw new Error('broken')
      },
    })
    assert.equal(failureCodeOf(await ask(connection, requestHeaders('a'))), 'INTERNAL')
  })

  test(`${wire.name}: a cancel fires the signal, a lost connection too`, async (t) => {
    const fired: string[] = []
    let started = 0
    const { connection } = await setUp(t, {
      async onRequestHeaders(_event, { signal }) {
        started++
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        fired.push((signal.reason as WeirError).code)
      },
    })
    ask(connection, requestHeaders('a')).catch(() => undefined)
    ask(connection, requestHeaders('b')).catch(() => undefined)
    await eventually('both handlers run', () => started === 2)
    connection.cancel('a', 'client-disconnect')
    await eventually('the cancel arrived', () => fired.length === 1)
    connection.destroy(new WeirError('CONNECTION_LOST', 'the test ends it'))
    await eventually('the loss was seen', () => fired.length === 2)
    assert.deepEqual(fired, ['CANCELLED', 'CONNECTION_LOST'])
  })

  test(`${wire.name}: a configuration is applied once for all connections, before their first event`, async (t) => {
    const applied: unknown[] = []
    const { dial } = await setUp(
      t,
      {
        async onConfigure(config) {
          await sleep(20)
          applied.push(config)
        },
        onRequestHeaders: () => allow().addTag(`configured ${applied.length}`),
      },
      {},
      { config: { rules: ['a'] } },
    )
    const connections = await Promise.all([dial(), dial(), dial()])
    for (const connection of connections) {
      const { audit } = await ask(connection, requestHeaders('a'))
      assert.deepEqual(audit.tags, ['configured 1'])
    }
    await connections[0]!.configure({ rules: ['b'] }, 'v2', 5000)
    assert.deepEqual(applied, [{ rules: ['a'] }, { rules: ['b'] }])
  })

  test(`${wire.name}: a refused configuration fails the dial`, async (t) => {
    const { running } = await setUp(t, {
      onConfigure(config) {
        if (config !== null && typeof config === 'object' && 'bad' in config)
          throw new Error('rule 7 is wrong')
      },
    })
    const dialer = wire.dialer(running, { ...HANDSHAKE, config: { bad: true } })
    await assert.rejects(dialer.dial(AbortSignal.timeout(5000)), WeirError)
  })

  test(`${wire.name}: an agent announces the handlers it has`, async (t) => {
    const { connection } = await setUp(t, { onRequestHeaders: () => undefined, onConfigure: () => undefined })
    const { capabilities } = connection
    assert.equal(capabilities.agentId, 'waf')
    assert.deepEqual(capabilities.supportedEvents, ['request-headers', 'configure'])
    assert.equal(capabilities.features.configPush, true)
    assert.equal(capabilities.features.websocket, false)
  })

  test(`${wire.name}: pause, health and metrics reach every proxy, and one that connects later`, async (t) => {
    const { running, connection, dial } = await setUp(t, {})
    const told = watch(connection)
    running.pause()
    running.reportHealth({ state: 'degraded', message: 'cache is cold' })
    running.sendMetrics({ intervalMs: 1000, gauges: [{ name: 'queue', labels: {}, value: 3 }] })
    running.requestConfigReload()
    await eventually('all four arrived', () => told.length === 4)
    assert.deepEqual(
      told.map(([kind]) => kind),
      ['flow', 'health', 'metrics', 'config-update'],
    )
    const late = watch(await dial())
    await eventually('the late one was told', () => late.length === 2)
    assert.deepEqual(late.map(([kind]) => kind).sort(), ['flow', 'health'])
    running.resume()
    await eventually('resumed', () => told.length === 5)
  })

  test(`${wire.name}: health reports come at their interval and carry the load`, async (t) => {
    const { connection } = await setUp(t, {}, { healthIntervalMs: 20 })
    await ask(connection, requestHeaders('a'))
    const told = watch(connection)
    await eventually('three reports', () => told.length >= 3)
    assert.ok(told.every(([kind]) => kind === 'health'))
    assert.match(JSON.stringify(told.at(-1)![1]), /"healthy"/)
  })

  test(`${wire.name}: closing reports draining, finishes handlers and closes`, async (t) => {
    let release: (() => void) | undefined
    const { running, connection, dial } = await setUp(t, {
      onRequestHeaders: () =>
        new Promise<undefined>((resolve) => {
          release = () => resolve(undefined)
        }),
    })
    const told = watch(connection)
    const reply = ask(connection, requestHeaders('a'))
    await eventually('the handler runs', () => release !== undefined)
    const closed = running.close()
    await eventually('draining was reported', () => /"draining"/.test(JSON.stringify(told)))
    assert.equal(connection.isClosed, false)
    release!()
    assert.equal((await reply).decision.kind, 'allow')
    await closed
    assert.equal(running.close(), closed)
    await eventually('the connection is closed', () => connection.isClosed)
    await assert.rejects(dial())
  })
}

test('an agent on gRPC over TLS lets in only proxies whose certificate its authority signed', async (t) => {
  const { ca, server, client, stranger } = certificates()
  const agent: Agent = { name: 'waf', onRequestHeaders: () => allow().addTag('secure') }
  const running = await serveGrpc('grpcs://127.0.0.1:0', agent, { tls: { ...server, clientCa: ca } })
  t.after(() => running.close({ timeoutMs: 0 }))
  const dial = (tls: TlsClientOptions): Promise<Connection> =>
    grpcDialer(running.address, HANDSHAKE, { tls }).dial(AbortSignal.timeout(5000))
  const connection = await dial({ ca, ...client })
  t.after(() => connection.close())
  assert.deepEqual((await ask(connection, requestHeaders('a'))).audit.tags, ['secure'])
  await assert.rejects(dial({ ca, ...stranger }), WeirError)
  await assert.rejects(dial({ ca }), WeirError)
})

test('a proxy that does not read is not worked for', async (t) => {
  const chunk = 'x'.repeat(16 * 1024)
  let handled = 0
  const running = await serveUds(
    join(await temporaryFolder(t), 'a.sock'),
    {
      name: 'slow',
      onRequestBody() {
        handled++
        return replaceBody(chunk)
      },
    },
    { probe: {} },
  )
  t.after(() => running.close({ timeoutMs: 0 }))
  const { connect } = await import('node:net')
  const socket = connect(running.address.replace('unix:', ''))
  t.after(() => socket.destroy())
  const frame = (type: number, payload: object): Buffer => {
    const text = Buffer.from(JSON.stringify(payload))
    const head = Buffer.alloc(5)
    head.writeUInt32BE(text.length + 1)
    head[4] = type
    return Buffer.concat([head, text])
  }
  socket.write(frame(0x01, { supported_versions: [2], proxy_id: 'p', proxy_version: '0.6.20', config: null }))
  socket.pause()
  const count = 5000
  const event = { correlation_id: 'a', data: '', is_last: false, chunk_index: 0, bytes_received: 0 }
  let sent = 0
  const pump = (): void => {
    while (sent < count) {
      sent++
      if (!socket.write(frame(0x11, { ...event, correlation_id: `r${sent}` }))) {
        socket.once('drain', pump)
        return
      }
    }
  }
  pump()
  await eventually('some were handled', () => handled > 0)
  let before = -1
  await eventually('the handler is no longer called', async () => {
    const stalled = handled === before
    before = handled
    await sleep(100)
    return stalled
  })
  assert.ok(handled < count, `${handled} of ${count} handled although nothing was read`)
  socket.resume()
  await eventually('all are handled once it reads', () => handled === count)
})
