import { rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Agent } from '../../src/sdk/agent.ts'
import type { RunningAgent } from '../../src/sdk/running-agent.ts'
import { serveUds } from '../../src/sdk/serve.ts'
import { eventually } from '../support/eventually.ts'
import { type HttpAnswer, httpCall } from '../support/http-call.ts'
import { type RunningProcess, startProcess } from '../support/running-process.ts'
import { temporaryFolder } from '../support/temp-folder.ts'

const WEIR = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** A folder with a configuration, an upstream and whatever agents a test serves. */
export class Place {
  readonly folder: string
  readonly upstream: number
  readonly #test: TestContext

  private constructor(test: TestContext, folder: string, upstream: number) {
    this.#test = test
    this.folder = folder
    this.upstream = upstream
  }

  static async make(test: TestContext): Promise<Place> {
    const folder = await temporaryFolder(test)
    const server = createServer((request, response) => {
      const delayMs = Number(new URL(request.url ?? '/', 'http://upstream').searchParams.get('delay') ?? 0)
      request.resume().on('end', () => setTimeout(() => response.end('upstream'), delayMs))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    test.after(() => {
      server.closeAllConnections()
      server.close()
    })
    const address = server.address()
    return new Place(test, folder, typeof address === 'object' && address !== null ? address.port : 0)
  }

  get file(): string {
    return join(this.folder, 'weir.yaml')
  }

  socket(name: string): string {
    return join(this.folder, `${name}.sock`)
  }

  /** Writes the configuration the way editors do: a new file in the place of the old one. */
  async configure(agents: string, routeAgents: string, more = ''): Promise<void> {
    const text = `
listen:
  http: 127.0.0.1:0
  admin: unix:./admin.sock
  reverse: [unix:./agents.sock]
agents: ${agents}
routes:
  - { name: all, match: { path: /* }, upstream: "http://127.0.0.1:${this.upstream}", agents: [${routeAgents}] }
drainTimeoutMs: 5000
${more}`
    await writeFile(`${this.file}.new`, text)
    await rename(`${this.file}.new`, this.file)
  }

  async agent(name: string, agent: Partial<Agent> = {}): Promise<RunningAgent> {
    const running = await serveUds(this.socket(name), { name, ...agent })
    this.#test.after(() => running.close())
    return running
  }

  weir(...args: string[]): RunningProcess {
    return startProcess(this.#test, [WEIR, ...args], { cwd: this.folder })
  }

  /** Starts the daemon; resolves when it serves. */
  async serve(...args: string[]): Promise<Daemon> {
    const running = this.weir('serve', '-c', this.file, ...args)
    await running.said(/"event":"serving"/)
    const [, port] = await running.said(/"option":"listen\.http","address":"127\.0\.0\.1:(\d+)"/)
    return new Daemon(this, running, Number(port))
  }
}

/** A running `weir serve`. */
export class Daemon {
  readonly process: RunningProcess
  readonly port: number
  readonly #place: Place

  constructor(place: Place, process: RunningProcess, port: number) {
    this.#place = place
    this.process = process
    this.port = port
  }

  get(path: string, headers: Record<string, string> = {}): Promise<HttpAnswer> {
    return httpCall({ port: this.port, path, headers })
  }

  admin(path: string, method = 'GET', body?: unknown): Promise<HttpAnswer> {
    return httpCall({
      socketPath: this.#place.socket('admin'),
      path,
      method,
      headers: { 'x-weir-admin': '1' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
  }

  async untilReady(): Promise<void> {
    await eventually('the daemon is ready', async () => (await this.admin('/readyz')).status === 200)
  }
}
