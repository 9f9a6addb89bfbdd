import assert from 'node:assert/strict'
import { request as clientRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import type { AgentEvent } from '../../../src/core/event.ts'
import type { Probe } from '../../../src/core/probe.ts'
import type { BodyPlan } from '../../../src/proxy/chain.ts'
import type { Verdict } from '../../../src/proxy/verdict.ts'
import { eventually } from '../../support/eventually.ts'
import { bytesOf, connection, type Echoed, type Rig, raw, rig, valuesOf } from './rig.ts'

const STREAM: BodyPlan = { mode: 'stream', maxBytes: 1 << 20, onTooLarge: 'reject' }
const BUFFER: BodyPlan = { ...STREAM, mode: 'buffer' }
const WHOLE = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251))

type Chunk = Extract<AgentEvent, { isLast: boolean }>

function mutated(text: string, event: AgentEvent): Partial<Verdict> {
  return { bodyMutation: { data: Buffer.from(text), chunkIndex: (event as Chunk).chunkIndex } }
}

/** Indices without gaps, sizes up to 64 KiB, one last chunk, running totals, and the bytes in order. */
function assertSound(chunks: readonly Chunk[], whole: Buffer): void {
  let total = 0
  chunks.forEach((chunk, at) => {
    assert.equal(chunk.chunkIndex, at)
    assert.ok(chunk.data.length <= 64 * 1024)
    total += chunk.data.length
    assert.equal(chunk.bytesTransferred, total)
    assert.equal(chunk.isLast, at === chunks.length - 1)
  })
  assert.ok(Buffer.concat(chunks.map((chunk) => chunk.data)).equals(whole))
}

function post(
  to: Rig,
  body: Buffer | string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = clientRequest({ port: to.port, host: '127.0.0.1', method: 'POST', headers }, resolve)
    call.on('error', reject)
    call.end(body)
  })
}

test('a streamed request body is asked about in order, in pieces up to 64 KiB, with one last', async (t) => {
  const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: STREAM } })
  const response = await post(to, WHOLE)
  const told = JSON.parse((await bytesOf(response)).toString()) as Echoed
  assert.ok(Buffer.from(told.body, 'latin1').equals(WHOLE))
  const chunks = to.dispatcher.of('request-body-chunk')
  assertSound(chunks, WHOLE)
  assert.equal(chunks[0]!.totalSize, WHOLE.length)
})

test('a streamed response body is asked about in order, in pieces up to 64 KiB, with one last', async (t) => {
  const to = await rig(t, {
    upstream: (_, response) => response.end(WHOLE),
    chain: { wants: ['response-body-chunk'], responseBody: STREAM },
  })
  assert.ok((await bytesOf(await post(to, ''))).equals(WHOLE))
  assertSound(to.dispatcher.of('response-body-chunk'), WHOLE)
})

test('tiny chunks of one turn are asked about together', async (t) => {
  const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: STREAM } })
  const chunked = Array.from({ length: 500 }, () => '2\r\nab\r\n').join('')
  await raw(
    to.port,
    `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunked}0\r\n\r\n`,
  )
  const chunks = to.dispatcher.of('request-body-chunk')
  assertSound(chunks, Buffer.from('ab'.repeat(500)))
  assert.ok(chunks.length < 5, `${chunks.length} chunks`)
})

test('a body that ends after its last piece was sent is ended by an empty chunk', async (t) => {
  const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: STREAM } })
  const socket = await connection(to.port)
  socket.write(
    'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n',
  )
  await eventually('the piece was asked about', () => to.dispatcher.events.length === 1)
  socket.write('0\r\n\r\n')
  await eventually('the end was told', () => to.dispatcher.events.length === 2)
  const chunks = to.dispatcher.of('request-body-chunk')
  assertSound(chunks, Buffer.from('ab'))
  assert.equal(chunks[1]!.data.length, 0)
  socket.destroy()
})

test('a request that declares no body has no chunks', async (t) => {
  const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: STREAM } })
  await (await fetch(to.origin)).text()
  await (await fetch(to.origin, { method: 'POST' })).text()
  assert.equal(to.dispatcher.events.length, 0)
})

test('HEAD, 204 and a body declared empty have no response chunks', async (t) => {
  const to = await rig(t, {
    upstream: (request, response) =>
      request.url === '/204'
        ? response.writeHead(204).end()
        : response.writeHead(200, { 'content-length': 0 }).end(),
    chain: { wants: ['response-body-chunk'], responseBody: STREAM },
  })
  for (const [method, path] of [
    ['HEAD', '/'],
    ['GET', '/204'],
    ['GET', '/'],
  ] as const) {
    const response = await fetch(to.origin + path, { method })
    assert.equal(await response.text(), '')
  }
  assert.equal(to.dispatcher.events.length, 0)
})

test('nothing of a request body reaches the upstream before its verdict', async (t) => {
  let release: ((verdict: Partial<Verdict>) => void) | undefined
  let reached = 0
  const to = await rig(t, {
    upstream: (request, response) => {
      reached++
      request.resume().on('end', () => response.end())
    },
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: () =>
      new Promise((resolve) => {
        release = resolve
      }),
  })
  const response = post(to, 'hello')
  await eventually('an agent was asked', () => release !== undefined)
  assert.equal(reached, 0)
  release!({})
  assert.equal((await response).statusCode, 200)
  assert.equal(reached, 1)
})

test('pieces are held while agents need more, and refused together', async (t) => {
  let reached = 0
  const to = await rig(t, {
    upstream: (_, response) => {
      reached++
      response.end()
    },
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: (event) =>
      (event as Chunk).isLast ? { decision: { kind: 'block', status: 403 } } : { needsMore: true },
  })
  const response = await post(to, WHOLE)
  assert.equal(response.statusCode, 403)
  assert.equal(reached, 0)
  assertSound(to.dispatcher.of('request-body-chunk'), WHOLE)
})

test('pieces held while agents need more are all passed by a final allow', async (t) => {
  const to = await rig(t, {
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: (event) => ({ needsMore: !(event as Chunk).isLast }),
  })
  const told = JSON.parse((await bytesOf(await post(to, WHOLE))).toString()) as Echoed
  assert.ok(Buffer.from(told.body, 'latin1').equals(WHOLE))
  assert.deepEqual(valuesOf(told.headers, 'content-length'), [String(WHOLE.length)])
})

test('a refusal with needsMore does not count until the last chunk, and there it does', async (t) => {
  const to = await rig(t, {
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: () => ({ needsMore: true, decision: { kind: 'block', status: 403 } }),
  })
  assert.equal((await post(to, WHOLE)).statusCode, 403)
  assertSound(to.dispatcher.of('request-body-chunk'), WHOLE)
})

for (const plan of [STREAM, BUFFER]) {
  test(`a replaced request body arrives whole, with the right length (${plan.mode})`, async (t) => {
    const to = await rig(t, {
      chain: { wants: ['request-body-chunk'], requestBody: plan },
      script: (event) => mutated('replaced!', event),
    })
    const told = JSON.parse((await bytesOf(await post(to, 'body'))).toString()) as Echoed
    assert.equal(told.body, 'replaced!')
    assert.deepEqual(valuesOf(told.headers, 'content-length'), ['9'])
  })

  test(`a replaced response body arrives whole, with the right length (${plan.mode})`, async (t) => {
    const to = await rig(t, {
      upstream: (_, response) => response.writeHead(200, { 'content-length': 4 }).end('body'),
      chain: { wants: ['response-body-chunk'], responseBody: plan },
      script: (event) => ((event as Chunk).data.length > 0 ? mutated('replaced!', event) : {}),
    })
    const response = await post(to, '')
    assert.equal((await bytesOf(response)).toString(), 'replaced!')
    assert.ok(
      response.headers['content-length'] === '9' || response.headers['transfer-encoding'] === 'chunked',
    )
  })

  test(`a dropped body arrives empty, both ways (${plan.mode})`, async (t) => {
    const to = await rig(t, {
      upstream: (request, response) => {
        void bytesOf(request).then((body) => response.end(`got ${body.length}`))
      },
      chain: { wants: ['request-body-chunk', 'response-body-chunk'], requestBody: plan, responseBody: plan },
      script: (event) => (event.kind === 'request-body-chunk' ? mutated('', event) : {}),
    })
    assert.equal((await bytesOf(await post(to, 'body'))).toString(), 'got 0')
    to.dispatcher.script = (event) => (event.kind === 'response-body-chunk' ? mutated('', event) : undefined)
    assert.equal((await bytesOf(await post(to, 'body'))).toString(), '')
  })
}

test('a single replaced chunk in the middle changes only that chunk', async (t) => {
  const to = await rig(t, {
    upstream: (_, response) => response.end(WHOLE),
    chain: { wants: ['response-body-chunk'], responseBody: STREAM },
    script: (event) => ((event as Chunk).chunkIndex === 1 ? mutated('', event) : undefined),
  })
  const body = await bytesOf(await post(to, ''))
  const chunks = to.dispatcher.of('response-body-chunk')
  assert.ok(body.equals(Buffer.concat(chunks.filter((_, at) => at !== 1).map((chunk) => chunk.data))))
})

test('a buffered body is one question, and nothing is sent before it', async (t) => {
  const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: BUFFER } })
  const told = JSON.parse((await bytesOf(await post(to, WHOLE))).toString()) as Echoed
  assert.equal(told.body.length, WHOLE.length)
  const chunks = to.dispatcher.of('request-body-chunk')
  assert.equal(chunks.length, 1)
  assert.equal(chunks[0]!.isLast, true)
  assert.ok(Buffer.from(chunks[0]!.data).equals(WHOLE))
})

test('header operations of a buffered body still reach the upstream', async (t) => {
  const to = await rig(t, {
    chain: { wants: ['request-body-chunk'], requestBody: BUFFER },
    script: () => ({ requestHeaders: [{ op: 'set', name: 'x-scanned', value: 'yes' }] }),
  })
  const told = JSON.parse((await bytesOf(await post(to, 'body'))).toString()) as Echoed
  assert.deepEqual(valuesOf(told.headers, 'x-scanned'), ['yes'])
})

test('header operations that come after the head left are reported, not applied', async (t) => {
  const notices: string[] = []
  const probe: Probe = { notice: (_, message) => notices.push(message) }
  const to = await rig(t, {
    probe,
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: (event) =>
      (event as Chunk).chunkIndex > 0
        ? { requestHeaders: [{ op: 'set', name: 'x-late', value: 'yes' }] }
        : {},
  })
  const told = JSON.parse((await bytesOf(await post(to, WHOLE))).toString()) as Echoed
  assert.deepEqual(valuesOf(told.headers, 'x-late'), [])
  assert.match(notices[0]!, /after the request head had left/)
})

for (const mode of ['stream', 'buffer'] as const) {
  const small: BodyPlan = { mode, maxBytes: 1000, onTooLarge: 'reject' }

  test(`a body declared over the limit is 413 before a byte is asked about (${mode})`, async (t) => {
    const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: small } })
    const response = await post(to, WHOLE)
    assert.equal(response.statusCode, 413)
    assert.ok(response.headers['x-weir-correlation-id'])
    assert.equal(to.dispatcher.events.length, 0)
  })

  test(`a chunked body over the limit is 413 (${mode})`, async (t) => {
    const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: small } })
    const response = await post(to, WHOLE, { 'transfer-encoding': 'chunked' })
    assert.equal(response.statusCode, 413)
    assert.equal(
      to.dispatcher.of('request-body-chunk').every((chunk) => !chunk.isLast),
      true,
    )
  })

  test(`a body of exactly the limit passes (${mode})`, async (t) => {
    const to = await rig(t, { chain: { wants: ['request-body-chunk'], requestBody: small } })
    const told = JSON.parse((await bytesOf(await post(to, WHOLE.subarray(0, 1000)))).toString()) as Echoed
    assert.equal(told.body.length, 1000)
    assertSound(to.dispatcher.of('request-body-chunk'), WHOLE.subarray(0, 1000))
  })

  test(`over the limit with skip, the rest passes uninspected and is counted (${mode})`, async (t) => {
    const bypasses: string[] = []
    const skip: BodyPlan = { ...small, onTooLarge: 'skip' }
    const to = await rig(t, {
      probe: { bypass: (agent, phase, reason) => bypasses.push(`${agent} ${phase} ${reason}`) },
      chain: { wants: ['request-body-chunk', 'response-body-chunk'], requestBody: skip, responseBody: skip },
    })
    const response = await post(to, WHOLE)
    const told = JSON.parse((await bytesOf(response)).toString()) as Echoed
    assert.ok(Buffer.from(told.body, 'latin1').equals(WHOLE))
    assert.equal(response.headers['x-weir-bypass'], 'scripted=too-large')
    const inspected = to.dispatcher.of('request-body-chunk')
    assertSound(inspected, WHOLE.subarray(0, 1000))
    assert.equal(inspected[0]!.totalSize, WHOLE.length, 'the agent can tell that it sees a part only')
    assert.ok(bypasses.includes('scripted request-body-chunk too-large'))
    assert.ok(bypasses.includes('scripted response-body-chunk too-large'))
  })

  test(`a response body over the limit never reaches the client as complete (${mode})`, async (t) => {
    const to = await rig(t, {
      upstream: (_, response) => response.end(WHOLE),
      chain: { wants: ['response-body-chunk'], responseBody: small },
    })
    const text = await raw(to.port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    assert.ok(text.startsWith('HTTP/1.1 502 ') || !text.includes('\r\n0\r\n'), text.slice(0, 200))
    if (mode === 'buffer') assert.match(text, /^HTTP\/1\.1 502 .*TOO_LARGE/s)
  })
}

test('agents that read responses get them uncompressed', async (t) => {
  const to = await rig(t, { chain: { wants: ['response-body-chunk'], responseBody: STREAM } })
  const response = await fetch(to.origin, { headers: { 'accept-encoding': 'gzip, br' } })
  const told = (await response.json()) as Echoed
  assert.deepEqual(valuesOf(told.headers, 'accept-encoding'), ['identity'])
})

test('a slow client makes the upstream wait instead of filling memory', async (t) => {
  let sent = 0
  let isStuck = false
  const to = await rig(t, {
    upstream: (_, response) => {
      const chunk = Buffer.alloc(64 * 1024)
      const more = (): void => {
        while (sent < 200 * 1024 * 1024) {
          sent += chunk.length
          if (!response.write(chunk)) {
            isStuck = true
            response.once('drain', () => {
              isStuck = false
              more()
            })
            return
          }
        }
        response.end()
      }
      more()
    },
  })
  const socket = await connection(to.port)
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  let last = -1
  await eventually('the upstream stands still', async () => {
    const before = sent
    await new Promise((resolve) => setTimeout(resolve, 100))
    last = sent
    return isStuck && before === sent && sent > 0
  })
  assert.ok(last < 64 * 1024 * 1024, `${last} bytes were taken from the upstream`)
  socket.destroy()
  await eventually('the request is over', () => to.dispatcher.openRequests === 0)
})

test('an early answer is read by a client that still sends', async (t) => {
  const to = await rig(t, {
    chain: { wants: ['request-headers'] },
    script: () => ({ decision: { kind: 'block', status: 403 } }),
  })
  const response = await post(to, Buffer.alloc(8 * 1024 * 1024))
  assert.equal(response.statusCode, 403)
})

test('a replaced piece in the middle of a long request body changes only that piece', async (t) => {
  const to = await rig(t, {
    chain: { wants: ['request-body-chunk'], requestBody: STREAM },
    script: (event) => ((event as Chunk).chunkIndex === 1 ? mutated('-', event) : undefined),
  })
  const told = JSON.parse((await bytesOf(await post(to, WHOLE))).toString()) as Echoed
  const expected = to.dispatcher
    .of('request-body-chunk')
    .map((chunk, at) => (at === 1 ? Buffer.from('-') : chunk.data))
  assert.ok(Buffer.from(told.body, 'latin1').equals(Buffer.concat(expected)))
})

test('a client that reads slowly, but reads, is not cut off', async (t) => {
  const size = 12 * 1024 * 1024
  const to = await rig(t, {
    upstream: (_, response) => response.end(Buffer.alloc(size)),
    chain: { wants: ['response-body-chunk'], responseBody: { ...BUFFER, maxBytes: size } },
    options: { bodyIdleTimeoutMs: 150 },
  })
  const socket = await connection(to.port)
  let got = 0
  let isOver = false
  socket.on('data', (chunk: Buffer) => {
    got += chunk.length
    if (got % (1024 * 1024) < chunk.length) {
      socket.pause()
      setTimeout(() => socket.resume(), 50)
    }
  })
  socket.on('close', () => {
    isOver = true
  })
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  await eventually('it ended', () => isOver)
  assert.ok(got > size, `${got} of ${size} bytes came`)
})

test('an HTTP/1.0 client sees a refusal behind the head as a reset, not as the end', async (t) => {
  const to = await rig(t, {
    upstream: (_, response) => {
      response.write('a'.repeat(20_000))
      setTimeout(() => response.end('b'.repeat(20_000)), 20)
    },
    chain: { wants: ['response-body-chunk'], responseBody: STREAM },
    script: (event) =>
      (event as Chunk).data.includes(0x62) ? { decision: { kind: 'block', status: 403 } } : undefined,
  })
  const socket = await connection(to.port)
  socket.resume()
  const error = new Promise<NodeJS.ErrnoException>((resolve) => socket.once('error', resolve))
  socket.write('GET / HTTP/1.0\r\nHost: h\r\n\r\n')
  assert.equal((await error).code, 'ECONNRESET')
})
