import assert from 'node:assert/strict'
import type { Noise } from './noise.ts'
import { lanes, open, talk } from './talk.ts'

const H = 'Host: h\r\n'
const HIDDEN = `GET /smuggled HTTP/1.1\r\n${H}\r\n`
const POST = `POST /good HTTP/1.1\r\n${H}`
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n`

/** Two requests for one reader, one for another. */
const SMUGGLING: readonly string[] = [
  `${POST}Content-Length: ${HIDDEN.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${CHUNKED}Content-Length: 4\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${POST}Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  `${POST}Content-Length: 0, ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  `${CHUNKED}\r\n-1\r\n${HIDDEN}`,
  `${CHUNKED}\r\n0x0\r\n\r\n${HIDDEN}`,
  `${CHUNKED}\r\n10000000000000000\r\n\r\n${HIDDEN}`,
  `${CHUNKED}\r\n0;\nx\r\n\r\n${HIDDEN}`,
  `${POST}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${POST}Content-Length : ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
  `POST /good HTTP/1.1\nHost: h\nContent-Length: 0\n\n${HIDDEN}`,
  `${POST}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
  `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${HIDDEN}`,
]

const SOUND: readonly Buffer[] = [
  `GET /good?a=b HTTP/1.1\r\n${H}Accept: */*\r\nCookie: a=b; c=d\r\n\r\n`,
  `${POST}Content-Length: 11\r\n\r\nhello=world`,
  `${CHUNKED}\r\n5\r\nhello\r\n3;ext=1\r\nabc\r\n0\r\nTrailer: x\r\n\r\n`,
  `GET /good HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  `GET /good HTTP/1.1\r\n${H}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi`,
].map((text) => Buffer.from(text, 'latin1'))

/** Nothing comes back but HTTP with our id in every answer. */
function assertAnswers(text: string, sent: string): number {
  if (text === '') return 0
  assert.ok(text.startsWith('HTTP/1.1 '), `${text}\nto ${sent}`)
  const answers = text.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length ?? 0
  const ids = text.match(/\r\nx-weir-correlation-id: \S+\r\n/g)?.length ?? 0
  assert.equal(ids, answers, `${text}\nto ${sent}`)
  return answers
}

/** Shapes of request smuggling and a head of a megabyte, each refused. Returns how many. */
export async function smuggle(port: number): Promise<number> {
  for (const bytes of SMUGGLING) {
    const text = await talk(port, Buffer.from(bytes, 'latin1'))
    assert.match(text, /^HTTP\/1\.1 400 /, bytes)
    assert.equal(assertAnswers(text, bytes), 1, bytes)
  }
  for (const field of [`X: ${'y'.repeat(1 << 20)}\r\n`, 'x: y\r\n'.repeat(1 << 18)]) {
    const text = await talk(port, Buffer.from(`GET /good HTTP/1.1\r\n${H}${field}\r\n`, 'latin1'))
    /* The refusal may be overtaken by the reset of a connection with much unread. */
    if (text !== '') assert.match(text, /^HTTP\/1\.1 431 /)
    assertAnswers(text, 'a megabyte of headers')
  }
  return SMUGGLING.length + 2
}

/** Damaged requests and plain bytes, each on a connection of its own. Returns how many were sent. */
export async function breakHttp(port: number, noise: Noise, times: number): Promise<number> {
  await lanes(times, 16, async (n) => {
    const bytes = n % 4 === 0 ? noise.bytes(400) : noise.damaged(noise.pick(SOUND))
    assertAnswers(await talk(port, bytes), bytes.toString('latin1'))
  })
  return times
}

const BATCH = 50

/** Sound requests full of nonsense, many on one connection. Returns how many were answered. */
export async function babbleHttp(port: number, noise: Noise, times: number): Promise<number> {
  let answered = 0
  while (answered < times) {
    const socket = await open(port)
    let text = ''
    let isClosed = false
    let look = (): void => undefined
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      look()
    })
    socket.once('close', () => {
      isClosed = true
      look()
    })
    while (answered < times && !isClosed) {
      text = ''
      const batch = Array.from({ length: BATCH }, () => nonsense(noise)).join('')
      const done = new Promise<void>((resolve) => {
        look = () => {
          const count = text.split('\r\nx-weir-correlation-id: ').length - 1
          if (isClosed || (count === BATCH && text.endsWith('\n'))) resolve()
        }
      })
      socket.write(batch, 'latin1')
      await done
      answered += assertAnswers(text, batch)
    }
    socket.destroy()
  }
  return answered
}

function nonsense(noise: Noise): string {
  const path = noise.word(60).replaceAll(/[#%\\]/g, '-')
  const field = `x-${noise.word(20).replaceAll(/[^a-zA-Z0-9]/g, '_')}: ${noise.word(80)}\r\n`
  const method = noise.pick(['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'])
  if (noise.below(3) > 0) return `${method} /${path} HTTP/1.1\r\n${H}${field}\r\n`
  const body = noise.bytes(100).toString('latin1')
  return `POST /${path} HTTP/1.1\r\n${H}${field}Content-Length: ${body.length}\r\n\r\n${body}`
}
