import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { request as clientRequest, createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bytesOf } from './rig.ts'

const MEGABYTE = 1024 * 1024
const SIZE = 100 * MEGABYTE
/** Node collects buffers lazily: a bare pass-through grows by 80 MB before its first collection. */
const WARM_UP = 32 * MEGABYTE
const MOST_GROWTH = 64 * MEGABYTE
const PROGRAM = fileURLToPath(new URL('./front-process.js', import.meta.url))

function bytes(size: number): Readable {
  const block = Buffer.alloc(64 * 1024, 7)
  let left = size
  return new Readable({
    read() {
      if (left <= 0) this.push(null)
      else this.push(block)
      left -= block.length
    },
  })
}

async function count(message: IncomingMessage): Promise<number> {
  let sum = 0
  for await (const part of message) sum += (part as Buffer).length
  return sum
}

/** Answers a POST with the number of bytes it got, a GET with as many as its path says. */
async function bigUpstream(t: TestContext): Promise<string> {
  const server = createServer((request, response) => {
    if (request.method === 'GET') bytes(Number(request.url!.slice(1))).pipe(response)
    else void count(request).then((sum) => response.end(String(sum)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function told<Answer>(child: ChildProcess, question?: string): Promise<Answer> {
  const answer = new Promise<Answer>((resolve, reject) => {
    child.once('message', (message) => resolve(message as Answer))
    child.once('exit', () => reject(new Error('the front end is gone')))
  })
  if (question !== undefined) child.send(question)
  return answer
}

function transfer(port: number, method: 'GET' | 'POST', size: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = clientRequest({ port, host: '127.0.0.1', method, path: `/${size}` }, (response) => {
      if (method === 'GET') count(response).then(resolve, reject)
      else bytesOf(response).then((body) => resolve(Number(body.toString())), reject)
    })
    call.on('error', reject)
    if (method === 'POST') bytes(size).pipe(call)
    else call.end()
  })
}

for (const how of ['passed on', 'inspected']) {
  test(`100 MB up and down, ${how}, grow a warm process by less than 64 MB`, async (t) => {
    const child = fork(PROGRAM, [await bigUpstream(t), how])
    t.after(() => {
      child.kill()
    })
    const { port } = await told<{ port: number }>(child)
    for (const method of ['POST', 'GET'] as const) await transfer(port, method, WARM_UP)
    const before = (await told<{ rss: number }>(child, 'memory')).rss
    let most = before
    for (const method of ['POST', 'GET'] as const) {
      const transferred = transfer(port, method, SIZE)
      let isOver = false
      transferred.finally(() => (isOver = true)).catch(() => undefined)
      while (!isOver) most = Math.max(most, (await told<{ rss: number }>(child, 'memory')).rss)
      assert.equal(await transferred, SIZE)
    }
    assert.ok(most - before < MOST_GROWTH, `grew by ${Math.round((most - before) / MEGABYTE)} MB`)
    t.diagnostic(`grew by ${Math.round((most - before) / MEGABYTE)} MB`)
  })
}
