import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connection, raw, rig } from './rig.ts'

test('a client that stops sending its body is 408', async (t) => {
  const to = await rig(t, { options: { bodyIdleTimeoutMs: 60 } })
  const text = await raw(to.port, 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc')
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.equal(to.dispatcher.openRequests, 0)
})

/** What comes until the other side ends, or an end of the wait. */
function heard(socket: Socket, timeoutMs: number): Promise<{ text: string; isEnded: boolean }> {
  return new Promise((resolve) => {
    let text = ''
    const timer = setTimeout(() => resolve({ text, isEnded: false }), timeoutMs)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve({ text, isEnded: true })
    })
  })
}

function drip(t: TestContext, socket: Socket, text: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(text), everyMs)
  t.after(() => {
    clearInterval(timer)
    socket.destroy()
  })
}

test('a body that drips steadily is 408 once its time is up', async (t) => {
  const to = await rig(t, { options: { bodyTimeoutMs: 150, bodyMinBytesPerSecond: 500 } })
  const socket = await connection(to.port)
  const answer = heard(socket, 8000)
  socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n')
  drip(t, socket, 'x', 10)
  const { text, isEnded } = await answer
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.match(text, /sends its body too slowly/)
  assert.ok(isEnded)
  assert.equal(to.dispatcher.openRequests, 0)
})

test('a body that comes faster than the least rate has all the time it needs', async (t) => {
  const to = await rig(t, { options: { bodyTimeoutMs: 50, bodyMinBytesPerSecond: 10 } })
  const socket = await connection(to.port)
  const answer = heard(socket, 8000)
  const pieces = 30
  const length = pieces * 100
  socket.write(`POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n`)
  for (let sent = 0; sent < pieces; sent++) {
    socket.write('x'.repeat(100))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const { text } = await answer
  assert.match(text, /^HTTP\/1\.1 200 /)
})

test('time in which nobody reads the body is not the client’s', async (t) => {
  const to = await rig(t, {
    options: { bodyTimeoutMs: 400, bodyMinBytesPerSecond: 0 },
    upstream: (request, response) => {
      setTimeout(() => request.on('data', () => undefined).on('end', () => response.end('done')), 900)
    },
  })
  const status = await new Promise((resolve, reject) => {
    request({ port: to.port, method: 'POST' }, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end(Buffer.alloc(16 * 1024 * 1024))
  })
  assert.equal(status, 200)
})

test('a client that goes on dripping after an early answer of the upstream loses its connection', async (t) => {
  const to = await rig(t, {
    upstream: (_request, response) => response.writeHead(413, { connection: 'close' }).end('no'),
  })
  const socket = await connection(to.port)
  const answer = heard(socket, 8000)
  socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10000000\r\n\r\n')
  drip(t, socket, 'x', 50)
  assert.ok((await answer).isEnded)
})
