import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { WeirError } from '../../../src/core/errors.ts'
import type { Verdict } from '../../../src/proxy/verdict.ts'
import { eventually } from '../../support/eventually.ts'
import { failure, type Script, scriptedChain } from '../../support/scripted-dispatcher.ts'
import { type Rig, type RigParts, raw, rig } from './rig.ts'

interface Talk extends Rig {
  readonly client: WebSocket
  /** The upstream's end. */
  readonly server: WebSocket
  readonly atClient: string[]
  readonly atServer: string[]
  readonly closes: Map<'client' | 'server', readonly [number, string]>
}

const INSPECTED = { chain: { wants: ['websocket-frame'] } } as const satisfies RigParts

/** Both ends of a WebSocket connection through the front end. */
async function talk(t: TestContext, parts: RigParts & { deflate?: boolean } = {}): Promise<Talk> {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: parts.deflate ?? false })
  const accepted = new Promise<WebSocket>((resolve) => sockets.on('connection', resolve))
  const upstream: Server = createServer()
  upstream.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => sockets.emit('connection', ws, request))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const to = await rig(t, {
    ...parts,
    routes: () => [{ name: 'ws', path: '/*', upstream: origin, chain: scriptedChain(parts.chain) }],
  })
  const client = new WebSocket(`ws://127.0.0.1:${to.port}/chat?room=1`, 'talk', {
    perMessageDeflate: parts.deflate ?? false,
  })
  await new Promise((resolve, reject) => client.on('open', resolve).on('error', reject))
  const server = await accepted
  const atClient: string[] = []
  const atServer: string[] = []
  const closes: Talk['closes'] = new Map()
  client.on('message', (data: Buffer) => atClient.push(data.toString()))
  server.on('message', (data: Buffer) => atServer.push(data.toString()))
  client.on('error', () => undefined)
  server.on('error', () => undefined)
  client.on('close', (code, reason) => closes.set('client', [code, reason.toString()]))
  server.on('close', (code, reason) => closes.set('server', [code, reason.toString()]))
  t.after(() => {
    client.terminate()
    server.terminate()
    upstream.closeAllConnections()
    upstream.close()
  })
  return { ...to, client, server, atClient, atServer, closes }
}

function onText(act: (text: string) => Partial<Verdict> | undefined): Script {
  return (event) => (event.kind === 'websocket-frame' ? act(Buffer.from(event.data).toString()) : undefined)
}

for (const [how, parts] of [
  ['untouched', {}],
  ['past agents that allow', INSPECTED],
] as const) {
  test(`messages of all sizes pass both ways in order, ${how}`, async (t) => {
    const it = await talk(t, parts)
    assert.equal(it.client.protocol, 'talk')
    const messages = ['', 'a', 'b'.repeat(126), 'c'.repeat(70_000), 'd'.repeat(900_000)]
    for (const message of messages) {
      it.client.send(message)
      it.server.send(message)
    }
    await eventually('all came', () => it.atClient.length === 5 && it.atServer.length === 5)
    assert.deepEqual(it.atClient, messages)
    assert.deepEqual(it.atServer, messages)
    it.client.close(4001, 'bye')
    await eventually('both closed', () => it.closes.size === 2)
    assert.deepEqual(it.closes.get('server'), [4001, 'bye'])
    assert.deepEqual(it.closes.get('client'), [4001, 'bye'])
    await eventually('the request is over', () => it.dispatcher.openRequests === 0)
    assert.deepEqual(it.dispatcher.aborts, [])
  })
}

test('agents see frames unmasked, numbered per direction, with opcode, fragments and end', async (t) => {
  const it = await talk(t, INSPECTED)
  it.client.send('one', { fin: false })
  it.client.send('two', { fin: true })
  it.client.ping('p')
  it.server.send(Buffer.from([1, 2]))
  await eventually('all were asked about', () => it.dispatcher.events.length >= 5)
  const seen = it.dispatcher
    .of('websocket-frame')
    .map((event) => [
      event.clientToServer,
      event.frameIndex,
      event.opcode,
      event.fin,
      Buffer.from(event.data).toString('latin1'),
    ])
  assert.deepEqual(seen.filter(([fromClient]) => fromClient).slice(0, 3), [
    [true, 0, 'text', false, 'one'],
    [true, 1, 'continuation', true, 'two'],
    [true, 2, 'ping', true, 'p'],
  ])
  assert.deepEqual(
    seen.find(([fromClient]) => !fromClient),
    [false, 0, 'binary', true, '\x01\x02'],
  )
  await eventually('the message came whole', () => it.atServer.includes('onetwo'))
  assert.deepEqual(it.dispatcher.breaches, [])
})

test('a dropped frame is missing, the others are not', async (t) => {
  const it = await talk(t, {
    ...INSPECTED,
    script: onText((text) => (text === 'secret' ? { websocketDecision: { kind: 'drop' } } : undefined)),
  })
  for (const text of ['a', 'secret', 'b']) it.client.send(text)
  await eventually('the others came', () => it.atServer.length === 2)
  assert.deepEqual(it.atServer, ['a', 'b'])
})

test('a message with a dropped piece stays well-formed, one with a dropped start is gone', async (t) => {
  const it = await talk(t, {
    ...INSPECTED,
    script: onText((text) => (text.includes('x') ? { websocketDecision: { kind: 'drop' } } : undefined)),
  })
  for (const pieces of [
    ['1', 'x', '2'],
    ['3', '4', 'x'],
    ['x', '5', '6'],
    ['7', '8', '9'],
  ]) {
    pieces.forEach((piece, at) => {
      it.client.send(piece, { fin: at === 2 })
    })
  }
  await eventually('the rest came', () => it.atServer.length === 3)
  assert.deepEqual(it.atServer, ['12', '34', '789'])
  assert.equal(it.closes.size, 0)
})

test('a close by an agent reaches both sides with its code, after what was allowed before', async (t) => {
  const it = await talk(t, {
    ...INSPECTED,
    script: onText((text) =>
      text === 'bad' ? { websocketDecision: { kind: 'close', code: 4003, reason: 'not here' } } : undefined,
    ),
  })
  for (const text of ['a', 'bad', 'b']) it.client.send(text)
  await eventually('both closed', () => it.closes.size === 2)
  assert.deepEqual(it.closes.get('client'), [4003, 'not here'])
  assert.deepEqual(it.closes.get('server'), [4003, 'not here'])
  assert.deepEqual(it.atServer, ['a'])
  await eventually('the request is over', () => it.dispatcher.openRequests === 0)
})

test('a failed inspection that is denied closes both sides with 1011', async (t) => {
  const it = await talk(t, { ...INSPECTED, script: onText(() => failure(new WeirError('TIMEOUT', 'late'))) })
  it.server.send('to the client')
  await eventually('both closed', () => it.closes.size === 2)
  assert.equal(it.closes.get('client')![0], 1011)
  assert.equal(it.closes.get('server')![0], 1011)
  assert.deepEqual(it.atClient, [])
})

test('a decision other than allow without one for the frame closes with 1008', async (t) => {
  const it = await talk(t, {
    ...INSPECTED,
    script: onText(() => ({ decision: { kind: 'block', status: 403 } })),
  })
  it.client.send('a')
  await eventually('both closed', () => it.closes.size === 2)
  assert.equal(it.closes.get('client')![0], 1008)
})

test('a frame over the limit closes with 1009 and never passes', async (t) => {
  const it = await talk(t, { ...INSPECTED, options: { webSocket: { maxFrameBytes: 1000 } } })
  it.client.send('a'.repeat(1001))
  await eventually('both closed', () => it.closes.size === 2)
  assert.equal(it.closes.get('client')![0], 1009)
  assert.deepEqual(it.atServer, [])
})

test('compression is not agreed on when frames are inspected, and is when they are not', async (t) => {
  const inspected = await talk(t, { ...INSPECTED, deflate: true })
  assert.equal(inspected.client.extensions, '')
  inspected.client.send('plain')
  await eventually('it came', () => inspected.atServer.length === 1)
  assert.equal(Buffer.from(inspected.dispatcher.of('websocket-frame')[0]!.data).toString(), 'plain')
  const raw = await talk(t, { deflate: true })
  assert.match(raw.client.extensions, /permessage-deflate/)
})

test('frames wait for their verdict, and in order', async (t) => {
  let release: ((verdict: Partial<Verdict>) => void) | undefined
  const it = await talk(t, {
    ...INSPECTED,
    script: (event) =>
      event.kind === 'websocket-frame' && event.frameIndex === 0
        ? new Promise((resolve) => {
            release = resolve
          })
        : undefined,
  })
  it.client.send('first')
  it.client.send('second')
  await eventually('the first was asked about', () => release !== undefined)
  assert.equal(it.dispatcher.events.length, 1)
  assert.deepEqual(it.atServer, [])
  release!({})
  await eventually('both came', () => it.atServer.length === 2)
  assert.deepEqual(it.atServer, ['first', 'second'])
})

test('a refused request to switch is an ordinary response', async (t) => {
  const it = await rig(t, {
    chain: { wants: ['request-headers'] },
    script: () => ({ decision: { kind: 'block', status: 403, body: 'no' } }),
  })
  const text = await raw(
    it.port,
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  assert.match(text, /^HTTP\/1\.1 403 .*\r\n\r\nno$/s)
  assert.equal(it.dispatcher.openRequests, 0)
})

test('an upstream that does not switch is an ordinary response', async (t) => {
  const it = await rig(t, { upstream: (_, response) => response.writeHead(426).end('no sockets') })
  const text = await raw(
    it.port,
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  assert.match(text, /^HTTP\/1\.1 426 .*no sockets/s)
  await eventually('the request is over', () => it.dispatcher.openRequests === 0)
})

test('a switched response carries the correlation id and passes the response agents', async (t) => {
  const it = await talk(t, {
    chain: { wants: ['response-headers'] },
    script: () => ({ responseHeaders: [{ op: 'set', name: 'x-agent', value: 'saw it' }] }),
  })
  assert.equal(it.dispatcher.of('response-headers')[0]!.status, 101)
  it.client.send('a')
  await eventually('it came', () => it.atServer.length === 1)
})

for (const [how, parts] of [
  ['untouched', {}],
  ['inspected', INSPECTED],
] as const) {
  test(`one side that vanishes ends the other (${how})`, async (t) => {
    const it = await talk(t, { ...parts, options: { webSocket: { closeTimeoutMs: 100 } } })
    it.client.terminate()
    await eventually('the other ended', () => it.closes.has('server'))
    await eventually('the request is over', () => it.dispatcher.openRequests === 0)
  })
}

test('drain says goodbye to inspected connections with 1001', async (t) => {
  const it = await talk(t, INSPECTED)
  await it.frontend.drain(2000)
  await eventually('both closed', () => it.closes.size === 2)
  assert.equal(it.closes.get('client')![0], 1001)
})
