import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Place } from '../daemon/harness.ts'
import { eventually } from '../support/eventually.ts'
import { startGuard } from './guard.ts'
import { residentBytes } from './process-facts.ts'

const MEGABYTE = 1024 * 1024
const SIZE = 100 * MEGABYTE
/** Node collects buffers lazily: what a process holds is told from its growth after its first collections only. */
const WARM_UP = 32 * MEGABYTE
const MOST_GROWTH = 64 * MEGABYTE
/** A prime, so that no piece of a stream looks like another one moved. */
const PATTERN = Buffer.from(Array.from({ length: 65_537 }, (_, n) => (n * 31) % 251))

/** `size` bytes of the pattern, over and over. */
function bytes(size: number): Readable {
  let left = size
  return new Readable({
    read() {
      if (left <= 0) this.push(null)
      else this.push(PATTERN.subarray(0, Math.min(left, PATTERN.length)))
      left -= PATTERN.length
    },
  })
}

/** How many bytes came, if they are the pattern's; a text with the place of the first that is not, otherwise. */
async function checked(message: IncomingMessage): Promise<string> {
  let count = 0
  for await (const part of message as AsyncIterable<Buffer>) {
    for (let at = 0; at < part.length; ) {
      const from = count % PATTERN.length
      const length = Math.min(part.length - at, PATTERN.length - from)
      if (part.compare(PATTERN, from, from + length, at, at + length) !== 0)
        return `changed after byte ${count}`
      at += length
      count += length
    }
  }
  return String(count)
}

/** Answers a POST with what it got, a GET with as many bytes as its path says. */
async function bigUpstream(t: TestContext): Promise<number> {
  const server = createServer((incoming, response) => {
    if (incoming.method === 'GET') bytes(Number(incoming.url!.split('/').at(-1))).pipe(response)
    else void checked(incoming).then((told) => response.end(told))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function transfer(port: number, method: 'GET' | 'POST', route: string, size: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = `/${route}/${size}`
    const call = request({ port, host: '127.0.0.1', method, path }, (response) => {
      assert.ok(response.headers['x-weir-correlation-id'])
      if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode}`))
      else if (method === 'GET') checked(response).then(resolve, reject)
      else response.setEncoding('utf8').on('data', resolve)
    })
    call.on('error', reject)
    if (method === 'POST') bytes(size).pipe(call)
    else call.end()
  })
}

test('100 MB up and down through the daemon, plain and past a streaming agent, arrive whole and are not kept', async (t) => {
  const place = await Place.make(t)
  const upstream = await bigUpstream(t)
  const guard = await startGuard(t, 'uds', place.socket('guard'))
  const to = `upstream: "http://127.0.0.1:${upstream}"`
  await writeFile(
    place.file,
    `
listen: { http: "127.0.0.1:0", admin: unix:./admin.sock }
agents:
  guard:
    endpoint: unix:./guard.sock
    events: [request-headers, request-body, response-headers, response-body]
    body: { mode: stream, maxBytes: ${2 * SIZE}, onTooLarge: reject }
    timeoutMs: 5000
routes:
  - { name: plain, match: { path: /plain/* }, ${to}, agents: [] }
  - { name: streamed, match: { path: /streamed/* }, ${to}, agents: [guard] }
`,
  )
  const daemon = await place.serve('--wait-for-agents', '10000')
  for (const route of ['plain', 'streamed']) {
    for (const method of ['POST', 'GET'] as const) await transfer(daemon.port, method, route, WARM_UP)
    const before = residentBytes(daemon.process.pid)
    const seenBefore = Number(await guard.ask('seen'))
    for (const method of ['POST', 'GET'] as const) {
      let most = 0
      const sampling = setInterval(() => {
        most = Math.max(most, residentBytes(daemon.process.pid))
      }, 10)
      const transferred = transfer(daemon.port, method, route, SIZE)
      const told = await transferred.finally(() => clearInterval(sampling))
      assert.equal(told, String(SIZE), `${method} ${route}`)
      const growth = most - before
      t.diagnostic(`${method} ${route}: grew by ${(growth / MEGABYTE).toFixed(1)} MB`)
      assert.ok(growth < MOST_GROWTH, `${method} ${route} grew by ${growth / MEGABYTE} MB`)
    }
    const seen = Number(await guard.ask('seen')) - seenBefore
    if (route === 'plain') assert.equal(seen, 0)
    else assert.ok(seen > (2 * SIZE) / 65_536, `the agent saw ${seen} events`)
  }
  await eventually('nothing is open', async () =>
    (await daemon.admin('/v1/status')).text.includes('"openRequests":0'),
  )
})
