import type { Duplex } from 'node:stream'
import type { Tunnel } from './tunnel.ts'

/** Passes bytes both ways without a look, at the pace of the slower side. Ends when either side ends. */
export class RawTunnel implements Tunnel {
  clientBytes = 0
  upstreamBytes = 0
  readonly #client: Duplex
  readonly #upstream: Duplex
  readonly #onEnd: () => void
  #isOver = false

  constructor(client: Duplex, upstream: Duplex, onEnd: () => void) {
    this.#client = client
    this.#upstream = upstream
    this.#onEnd = onEnd
    client.on('data', (chunk: Buffer) => {
      this.clientBytes += chunk.length
    })
    upstream.on('data', (chunk: Buffer) => {
      this.upstreamBytes += chunk.length
    })
    for (const side of [client, upstream]) {
      side.on('error', () => this.cut())
      side.on('close', () => this.cut())
    }
    client.pipe(upstream)
    upstream.pipe(client)
  }

  /** The bytes mean nothing to us, so there is nothing polite to say. */
  drain(): void {}

  cut(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#client.destroy()
    this.#upstream.destroy()
    this.#onEnd()
  }
}
