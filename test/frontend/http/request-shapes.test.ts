import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connection, raw, rig } from './rig.ts'

const H = 'Host: h\r\n'
const POST = `POST / HTTP/1.1\r\n${H}`
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n`

/* Shapes that two HTTP implementations could read differently. All must be 400 and reach nobody. */
const REFUSED: Readonly<Record<string, string>> = {
  'content-length and transfer-encoding': `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'transfer-encoding and content-length': `${CHUNKED}Content-Length: 3\r\n\r\n0\r\n\r\n`,
  'two content-lengths, even when equal': `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  'a list of content-lengths': `${POST}Content-Length: 3, 3\r\n\r\nabc`,
  'a signed content-length': `${POST}Content-Length: +3\r\n\r\nabc`,
  'a hexadecimal content-length': `${POST}Content-Length: 0x3\r\n\r\nabc`,
  'an empty content-length': `${POST}Content-Length: \r\n\r\nabc`,
  'a content-length that connection lists': `${POST}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`,
  'an unknown transfer-encoding': `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'a transfer-encoding besides chunked': `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'chunked not last': `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'transfer-encoding twice': `${CHUNKED}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a vertical tab before chunked': `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  'transfer-encoding in HTTP/1.0': `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'a chunk size that is no number': `${CHUNKED}\r\nZ\r\nabc\r\n0\r\n\r\n`,
  'a chunk size with a prefix': `${CHUNKED}\r\n0x3\r\nabc\r\n0\r\n\r\n`,
  'a chunk size that overflows': `${CHUNKED}\r\nFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n`,
  'a chunk size line that ends in LF': `${CHUNKED}\r\n3\nabc\r\n0\r\n\r\n`,
  'a chunk extension with a line feed': `${CHUNKED}\r\n3;a\nb\r\nabc\r\n0\r\n\r\n`,
  'a chunk longer than its size': `${CHUNKED}\r\n3\r\nabcd0\r\n\r\n`,
  'a folded header': `GET / HTTP/1.1\r\n${H}X-A: b\r\n c\r\n\r\n`,
  'a folded transfer-encoding': `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  'a first header that starts with a space': `GET / HTTP/1.1\r\n X: y\r\n${H}\r\n`,
  'a space before the colon': `${POST}Content-Length : 3\r\n\r\nabc`,
  'lines that end in LF': 'GET / HTTP/1.1\nHost: h\n\n',
  'one line that ends in LF': `GET / HTTP/1.1\r\n${H}X-A: b\nX-B: c\r\n\r\n`,
  'a bare CR in a value': `GET / HTTP/1.1\r\n${H}X-A: b\rX-B: c\r\n\r\n`,
  'a NUL in a value': `GET / HTTP/1.1\r\n${H}X-A: b\x00c\r\n\r\n`,
  'a control character in a value': `GET / HTTP/1.1\r\n${H}X-A: b\x01c\r\n\r\n`,
  'an empty header name': `GET / HTTP/1.1\r\n${H}: b\r\n\r\n`,
  'a line without a colon': `GET / HTTP/1.1\r\n${H}Foo\r\n\r\n`,
  'two hosts': 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'no host': 'GET / HTTP/1.1\r\nX: y\r\n\r\n',
  'a host with a space': 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n',
  'a host with a path': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'HTTP/2.0 in plain text': `GET / HTTP/2.0\r\n${H}\r\n`,
  'HTTP/1.2': `GET / HTTP/1.2\r\n${H}\r\n`,
  'an HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a target with a user': `GET http://u@h/ HTTP/1.1\r\n${H}\r\n`,
  'a target of another scheme': `GET ftp://h/ HTTP/1.1\r\n${H}\r\n`,
  'the authority form': `GET other:80 HTTP/1.1\r\n${H}\r\n`,
  'the asterisk form': `OPTIONS * HTTP/1.1\r\n${H}\r\n`,
  'a fragment': `GET /a#b HTTP/1.1\r\n${H}\r\n`,
  'a space in the target': `GET /a b HTTP/1.1\r\n${H}\r\n`,
  'a control character in the target': `GET /a\x01b HTTP/1.1\r\n${H}\r\n`,
  'a method nobody knows': `FOO / HTTP/1.1\r\n${H}\r\n`,
  'a body on a request to switch to WebSocket': `GET / HTTP/1.1\r\n${H}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc`,
}

test('a request that could be read in two ways', async (t) => {
  let reached = 0
  const to = await rig(t, {
    upstream: (_, response) => {
      reached++
      response.end()
    },
  })
  for (const [name, bytes] of Object.entries(REFUSED)) {
    await t.test(`${name} is 400, reaches nobody and ends the connection`, async () => {
      reached = 0
      const text = await raw(to.port, Buffer.from(`${bytes}GET /smuggled HTTP/1.1\r\n${H}\r\n`, 'latin1'))
      assert.match(text, /^HTTP\/1\.1 400 /)
      assert.match(text, /\r\nx-weir-correlation-id: \S+\r\n/)
      assert.equal(text.match(/^HTTP\/1\.1 \d/gm)?.length, 1)
      assert.equal(reached, 0)
    })
  }
  assert.equal(to.dispatcher.openRequests, 0)
})

test('a head over the limit is 431', async (t) => {
  const to = await rig(t)
  const fits = await raw(
    to.port,
    `GET / HTTP/1.1\r\n${H}Connection: close\r\nX-A: ${'a'.repeat(60_000)}\r\n\r\n`,
  )
  assert.match(fits, /^HTTP\/1\.1 200 /)
  const text = await raw(to.port, `GET / HTTP/1.1\r\n${H}X-A: ${'a'.repeat(70_000)}\r\n\r\n`)
  assert.match(text, /^HTTP\/1\.1 431 /)
  assert.match(text, /x-weir-correlation-id/)
})

test('every header field counts, also beyond two thousand', async (t) => {
  const to = await rig(t)
  const many = Array.from({ length: 4000 }, (_, at) => `x-${at}: 1\r\n`).join('')
  const text = await raw(to.port, `GET / HTTP/1.1\r\n${H}Connection: close\r\n${many}x-end: 1\r\n\r\n`)
  assert.match(text, /"x-end"/)
})

test('a head that drips in is 408, however steadily', async (t) => {
  const to = await rig(t, { options: { headersTimeoutMs: 100 } })
  const socket = await connection(to.port)
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  socket.on('error', () => undefined)
  socket.write(`GET / HTTP/1.1\r\n${H}`)
  const drip = setInterval(() => socket.write('x-a: b\r\n'), 20)
  await new Promise<void>((resolve) => socket.once('close', () => resolve()))
  clearInterval(drip)
  assert.match(text, /^HTTP\/1\.1 408 /)
  assert.match(text, /x-weir-correlation-id/)
})

test('CONNECT is refused', async (t) => {
  const to = await rig(t)
  const text = await raw(to.port, 'CONNECT other:80 HTTP/1.1\r\nHost: other:80\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 405 /)
  assert.match(text, /x-weir-correlation-id/)
})

test('the absolute form wins over the host header', async (t) => {
  const to = await rig(t)
  const text = await raw(to.port, `GET http://Other.example:8/x?y HTTP/1.1\r\n${H}Connection: close\r\n\r\n`)
  assert.match(text, /"url":"\/x\?y"/)
  assert.match(text, /"host","Other.example:8"/)
})

test('a name with underscores does not speak with our voice', async (t) => {
  const to = await rig(t)
  const text = await raw(
    to.port,
    `GET / HTTP/1.1\r\n${H}Connection: close\r\nX_Forwarded_For: 6.6.6.6\r\nTransfer_Encoding: chunked\r\nx_own: 1\r\n\r\n`,
  )
  assert.doesNotMatch(text, /6\.6\.6\.6|transfer_/i)
  assert.match(text, /x_own/)
})

test('a fault behind a sound request does not take its response away', async (t) => {
  const to = await rig(t, {
    upstream: (_, response) => {
      setTimeout(() => response.end('fine'), 30)
    },
  })
  const text = await raw(to.port, `GET / HTTP/1.1\r\n${H}\r\nnonsense\r\n\r\n`)
  assert.match(text, /^HTTP\/1\.1 200 .*fine$/s)
})
