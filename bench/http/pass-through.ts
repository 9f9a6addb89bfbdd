import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Dispatcher, Pool } from 'undici'

/*
 * The least a streaming reverse proxy on node:http and undici can do: no routes, no checks, no agents, no
 * reports. What our front end does on top of this is ours to keep small.
 */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te', 'trailer'])
const pool = new Pool(process.argv[2]!, { connections: null })

class Handler implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  onConnect(): void {}

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    const headers: string[] = []
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at]!.toString('latin1')
      if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[at + 1]!.toString('latin1'))
    }
    this.#response.writeHead(status, headers)
    this.#response.on('drain', resume)
    return true
  }

  onData(chunk: Buffer): boolean {
    return this.#response.write(chunk)
  }

  onComplete(): void {
    this.#response.end()
  }

  onError(): void {
    if (!this.#response.headersSent) this.#response.writeHead(502)
    this.#response.end()
  }
}

const server = createServer((request, response) => {
  const headers: string[] = []
  const raw = request.rawHeaders
  let hasBody = false
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    if (name === 'content-length' || name === 'transfer-encoding') hasBody = true
    if (!HOP_BY_HOP.has(name)) headers.push(name, raw[at + 1]!)
  }
  pool.dispatch(
    {
      path: request.url!,
      method: request.method as Dispatcher.HttpMethod,
      headers,
      body: hasBody ? request : null,
    },
    new Handler(response),
  )
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`))
