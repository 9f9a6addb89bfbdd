import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** No load outlives this, whatever the test forgets. */
const MAX_MS = 90_000
/** Longer than any answer may take; a request that takes it has hanged. */
const HANG_MS = 10_000
/** Milliseconds a client waits after anything but a 200, so that refusals at once do not eat up the machine. */
const AFTER_REFUSAL_MS = 20

/** What became of one request. */
export interface Exchange {
  /** Unique, also in the request's `x-n` header. */
  readonly n: number
  readonly path: string
  /** 0: the connection failed. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Error code of a connection that failed. */
  readonly failure: string | undefined
  readonly startedAt: number
  readonly latencyMs: number
}

let lastN = 0

/** Clients with kept connections that ask again as soon as they were answered, each its own path. */
export class Clients {
  readonly exchanges: Exchange[] = []
  readonly #port: number
  readonly #agent: Agent
  readonly #loops: Promise<unknown>
  #isStopped = false

  constructor(port: number, count: number, pathOf: (client: number) => string) {
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: count })
    this.#loops = Promise.all(Array.from({ length: count }, (_, n) => this.#loop(pathOf(n))))
    /* Told by `stop`, which a test that failed before does not call. */
    this.#loops.catch(() => undefined)
  }

  /** No new requests; resolves with all of them when those under way are over. */
  async stop(): Promise<readonly Exchange[]> {
    this.#isStopped = true
    await this.#loops
    this.#agent.destroy()
    return this.exchanges
  }

  async #loop(path: string): Promise<void> {
    const until = performance.now() + MAX_MS
    while (!this.#isStopped) {
      if (performance.now() > until) throw new Error(`the load was not stopped within ${MAX_MS} ms`)
      const exchange = await exchangeWith(this.#port, path, this.#agent)
      this.exchanges.push(exchange)
      if (exchange.status !== 200) await sleep(AFTER_REFUSAL_MS)
    }
  }
}

/** One request, on a connection of its own if no agent is given; resolves whatever becomes of it. */
export function exchangeWith(port: number, path: string, agent: Agent | false = false): Promise<Exchange> {
  const n = ++lastN
  const startedAt = performance.now()
  return new Promise((resolve) => {
    const over = (parts: Partial<Exchange>): void =>
      resolve({
        n,
        path,
        status: 0,
        headers: {},
        text: '',
        failure: undefined,
        startedAt,
        ...parts,
        latencyMs: performance.now() - startedAt,
      })
    const fail = (error: NodeJS.ErrnoException): void => over({ failure: error.code ?? error.message })
    const call = request(
      { host: '127.0.0.1', port, path, agent, timeout: HANG_MS, headers: { 'x-n': String(n) } },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('error', fail)
        response.on('end', () => over({ status: response.statusCode ?? 0, headers: response.headers, text }))
      },
    )
    call.on('timeout', () => call.destroy(Object.assign(new Error('hanged'), { code: 'HANGED' })))
    call.on('error', fail)
    call.end()
  })
}
