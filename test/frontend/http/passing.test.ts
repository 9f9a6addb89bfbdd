import assert from 'node:assert/strict'
import { request as clientRequest } from 'node:http'
import { test } from 'node:test'
import { eventually } from '../../support/eventually.ts'
import { bytesOf, connection, type Echoed, raw, rig, valuesOf } from './rig.ts'

test('a request without agents reaches the upstream with method, path, query and headers', async (t) => {
  const { origin } = await rig(t)
  const response = await fetch(`${origin}/a/b?c=d&c=e`, {
    method: 'PUT',
    body: 'hello',
    headers: { 'X-One': '1' },
  })
  assert.equal(response.status, 200)
  assert.match(response.headers.get('x-weir-correlation-id')!, /^[0-9a-v]{8}-/)
  const told = (await response.json()) as Echoed
  assert.equal(told.method, 'PUT')
  assert.equal(told.url, '/a/b?c=d&c=e')
  assert.equal(told.body, 'hello')
  assert.deepEqual(valuesOf(told.headers, 'x-one'), ['1'])
})

test('the correlation id is ours, whatever the client sends', async (t) => {
  const { origin, dispatcher } = await rig(t)
  const response = await fetch(origin, {
    headers: { 'x-weir-correlation-id': 'forged', 'x-correlation-id': 'kept' },
  })
  const told = (await response.json()) as Echoed
  assert.equal(response.headers.get('x-weir-correlation-id'), dispatcher.scopes[0]!.correlationId)
  assert.deepEqual(valuesOf(told.headers, 'x-weir-correlation-id'), [dispatcher.scopes[0]!.correlationId])
  assert.deepEqual(valuesOf(told.headers, 'x-correlation-id'), ['kept'])
})

test('the correlation id stays between us and the client when it is not to be forwarded', async (t) => {
  const { origin } = await rig(t, { options: { forwardCorrelationId: false } })
  const response = await fetch(origin, { headers: { 'x-weir-correlation-id': 'forged' } })
  const told = (await response.json()) as Echoed
  assert.deepEqual(valuesOf(told.headers, 'x-weir-correlation-id'), [])
})

test('a path without a route is 404 with a correlation id and never reaches an upstream', async (t) => {
  const { origin, dispatcher } = await rig(t, { routes: () => [] })
  const response = await fetch(`${origin}/nowhere`)
  assert.equal(response.status, 404)
  const id = response.headers.get('x-weir-correlation-id')
  assert.deepEqual(await response.json(), {
    error: 'NOT_FOUND',
    message: 'no route for 127.0.0.1/nowhere',
    correlationId: id,
  })
  assert.equal(dispatcher.scopes.length, 0)
})

test('hop-by-hop headers stop here, both ways, those that connection lists included', async (t) => {
  const { port } = await rig(t, {
    upstream: (request, response) => {
      response.setHeader('Connection', 'x-private')
      response.setHeader('X-Private', 'upstream')
      response.setHeader('Keep-Alive', 'timeout=99')
      response.setHeader('X-Public', 'yes')
      response.end(JSON.stringify(request.rawHeaders))
    },
  })
  const text = await raw(
    port,
    'GET / HTTP/1.1\r\nHost: h\r\nX-Secret: 1\r\nConnection: close, X-Secret\r\nTE: trailers\r\nProxy-Authorization: x\r\nX-Kept: 2\r\n\r\n',
  )
  const [head = '', body = ''] = text.split('\r\n\r\n')
  assert.doesNotMatch(head, /x-private|timeout=99/i)
  assert.match(head, /x-public: yes/)
  assert.doesNotMatch(body, /secret|trailers|proxy-auth/i)
  assert.match(body, /x-kept/)
})

test('header bytes above ASCII reach the upstream and the client as they are', async (t) => {
  const { port } = await rig(t, {
    upstream: (request, response) => {
      response.writeHead(200, ['X-Back', request.headers['x-bytes'] as string])
      response.end()
    },
  })
  const text = await raw(
    port,
    Buffer.from(
      'GET / HTTP/1.1\r\nHost: h\r\nX-Bytes: \xe4\xf6\xfc\xff\r\nConnection: close\r\n\r\n',
      'latin1',
    ),
  )
  assert.match(text, /x-back: \xe4\xf6\xfc\xff\r\n/)
})

test('agents see header bytes above ASCII, in requests and responses, one character for each byte', async (t) => {
  const { port, dispatcher } = await rig(t, {
    upstream: (_, response) => {
      response.writeHead(200, ['X-Back', '\xfe\xe4'])
      response.end()
    },
    chain: { wants: ['request-headers', 'response-headers'] },
  })
  const bytes = '\x80\xe4\xc3\xa4\xff <script>'
  await raw(
    port,
    Buffer.from(`GET / HTTP/1.1\r\nHost: h\r\nX-Bytes: ${bytes}\r\nConnection: close\r\n\r\n`, 'latin1'),
  )
  assert.deepEqual(valuesOf(dispatcher.of('request-headers')[0]!.headers, 'x-bytes'), [bytes])
  assert.deepEqual(valuesOf(dispatcher.of('response-headers')[0]!.headers, 'x-back'), ['\xfe\xe4'])
})

test('both bodies stream: the first bytes arrive before the last are sent', async (t) => {
  const { port } = await rig(t, {
    upstream: (request, response) => {
      request.on('data', (chunk: Buffer) => response.write(chunk))
      request.on('end', () => response.end())
    },
  })
  const call = clientRequest({ port, host: '127.0.0.1', method: 'POST' })
  const responded = new Promise<import('node:http').IncomingMessage>((resolve) =>
    call.on('response', resolve),
  )
  call.write('first')
  const response = await responded
  const first = await new Promise<Buffer>((resolve) => response.once('data', resolve))
  assert.equal(first.toString(), 'first')
  call.end('second')
  assert.equal((await bytesOf(response)).toString(), 'second')
})

test('HEAD, 204 and 304 have no body and keep the connection', async (t) => {
  const { port } = await rig(t, {
    upstream: (request, response) => {
      if (request.url === '/204') response.writeHead(204).end()
      else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end()
      else
        response.writeHead(200, { 'content-length': 5 }).end(request.method === 'HEAD' ? undefined : 'hello')
    },
  })
  const text = await raw(
    port,
    'HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /204 HTTP/1.1\r\nHost: h\r\n\r\nGET /304 HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  )
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])
  assert.deepEqual(statuses, ['200', '204', '304', '200'])
  assert.equal(text.match(/hello/g)?.length, 1)
  assert.match(text, /etag: "x"/)
})

test('an upstream that refuses connections is 502 with the reason', async (t) => {
  const { origin, upstream } = await rig(t)
  upstream.close()
  const response = await fetch(origin)
  assert.equal(response.status, 502)
  assert.ok(response.headers.get('x-weir-correlation-id'))
  const told = (await response.json()) as { message: string; correlationId: string }
  assert.doesNotMatch(told.message, /ECONNREFUSED|127\.0\.0\.1/, 'addresses are not for clients')
})

test('an upstream that never answers is 504', async (t) => {
  const { origin } = await rig(t, {
    upstream: () => undefined,
    options: { upstream: { headersTimeoutMs: 50 } },
  })
  const response = await fetch(origin)
  assert.equal(response.status, 504)
  assert.equal(((await response.json()) as { error: string }).error, 'TIMEOUT')
})

test('a response that the upstream breaks off is broken off for the client too', async (t) => {
  const { origin } = await rig(t, {
    upstream: (_, response) => {
      response.write('some')
      setImmediate(() => response.destroy())
    },
  })
  const response = await fetch(origin)
  await assert.rejects(response.text())
})

test('a client that goes away ends the upstream request and tells the dispatcher', async (t) => {
  let upstreamGone = false
  const { port, dispatcher } = await rig(t, {
    upstream: (request) => {
      request.socket.on('close', () => {
        upstreamGone = true
      })
    },
  })
  const socket = await connection(port)
  socket.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await eventually('the request is open', () => dispatcher.openRequests === 1)
  socket.destroy()
  await eventually('the dispatcher is told', () => dispatcher.aborts.length === 1)
  assert.deepEqual(dispatcher.aborts, ['client-disconnect'])
  await eventually('the upstream is told', () => upstreamGone)
  assert.equal(dispatcher.openRequests, 0)
})

test('a client that goes away ends the requests it pipelined as well', async (t) => {
  const { port, dispatcher } = await rig(t, { upstream: () => undefined })
  const socket = await connection(port)
  socket.write('GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n')
  await eventually('both are open', () => dispatcher.openRequests === 2)
  socket.destroy()
  await eventually('both are over', () => dispatcher.openRequests === 0)
  assert.deepEqual(dispatcher.aborts, ['client-disconnect', 'client-disconnect'])
})

test('expect: 100-continue is answered by us, once, and not passed on', async (t) => {
  const { port } = await rig(t)
  const socket = await connection(port)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.write(
    'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
  )
  await eventually('100 came', () => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  socket.write('ok')
  await eventually('the response came', () => text.includes('"body":"ok"'))
  assert.doesNotMatch(text, /"expect"/i)
  assert.equal(text.match(/100 Continue/g)?.length, 1)
})

test('an HTTP/1.0 client is never sent an interim response', async (t) => {
  const { port } = await rig(t)
  const text = await raw(
    port,
    'POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nok',
  )
  assert.match(text, /^HTTP\/1\.1 200 /)
  assert.match(text, /"body":"ok"/)
})

test('an expectation we do not know is 417', async (t) => {
  const { port } = await rig(t)
  const text = await raw(port, 'GET / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\nConnection: close\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 417 /)
  assert.match(text, /x-weir-correlation-id/)
})

test('an offer to upgrade to something else than WebSocket is ignored', async (t) => {
  const { port } = await rig(t)
  const text = await raw(
    port,
    'POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 4\r\n\r\nbody',
  )
  assert.match(text, /"body":"body"/)
  assert.match(text, /connection: close/i)
  assert.doesNotMatch(text, /"upgrade"|settings/i)
})

test('an open dispatcher that refuses is an answer with its status', async (t) => {
  const { origin, dispatcher } = await rig(t)
  await dispatcher.drain()
  const response = await fetch(origin)
  assert.equal(response.status, 503)
  assert.equal(((await response.json()) as { error: string }).error, 'DRAINING')
})
