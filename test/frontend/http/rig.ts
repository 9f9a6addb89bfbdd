import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Probe } from '../../../src/core/probe.ts'
import { HttpFrontend } from '../../../src/frontend/http/http-frontend.ts'
import type { HttpFrontendOptions } from '../../../src/frontend/http/options.ts'
import type { HttpRoute } from '../../../src/frontend/http/route-table.ts'
import {
  type Script,
  type ScriptedChain,
  ScriptedDispatcher,
  scriptedChain,
} from '../../support/scripted-dispatcher.ts'

export interface RigParts {
  readonly upstream?: RequestListener
  readonly chain?: ScriptedChain
  readonly script?: Script
  readonly options?: HttpFrontendOptions
  readonly probe?: Probe
  /** Default: one route for everything. */
  readonly routes?: (origin: string) => readonly HttpRoute[]
}

export interface Rig {
  readonly frontend: HttpFrontend
  readonly dispatcher: ScriptedDispatcher
  readonly upstream: Server
  readonly origin: string
  readonly upstreamOrigin: string
  readonly port: number
}

/** An upstream, a front end and a scripted dispatcher, all real sockets, gone with the test. */
export async function rig(test: TestContext, parts: RigParts = {}): Promise<Rig> {
  const upstream = createServer({ maxHeaderSize: 256 * 1024 }, parts.upstream ?? echo)
  upstream.maxHeadersCount = 0
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const upstreamOrigin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
  const dispatcher = new ScriptedDispatcher(parts.script)
  const frontend = new HttpFrontend({
    dispatcher,
    routes: parts.routes?.(upstreamOrigin) ?? [
      { name: 'all', path: '/*', upstream: upstreamOrigin, chain: scriptedChain(parts.chain) },
    ],
    ...(parts.options === undefined ? {} : { options: parts.options }),
    ...(parts.probe === undefined ? {} : { probe: parts.probe }),
  })
  const { port } = (await frontend.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo
  test.after(async () => {
    await frontend.close()
    upstream.closeAllConnections()
    upstream.close()
  })
  return { frontend, dispatcher, upstream, origin: `http://127.0.0.1:${port}`, upstreamOrigin, port }
}

/** Answers with what it got, as JSON. */
export const echo: RequestListener = (request, response) => {
  void bytesOf(request).then((body) => {
    const told = {
      method: request.method,
      url: request.url,
      headers: request.rawHeaders,
      body: body.toString('latin1'),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(told))
  })
}

export interface Echoed {
  readonly method: string
  readonly url: string
  readonly headers: readonly string[]
  readonly body: string
}

export async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of message) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Sends bytes as they are and resolves with everything that came back until the other side ended. */
export function raw(port: number, bytes: string | Buffer, timeoutMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end within ${timeoutMs} ms; so far: ${text}`))
    }, timeoutMs)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    socket.write(bytes)
  })
}

export function connection(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Header values of a lower-case name in a flat list. */
export function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => at % 2 === 1 && headers[at - 1]!.toLowerCase() === name)
}
