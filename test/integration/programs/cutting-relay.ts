import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Where in a frame a connection is cut, and how. */
export type Cut = 'half-frame' | 'half-frame-reset' | 'half-head'

const HEAD_BYTES = 9
const DATA = 0

/**
 * Stands before an HTTP/2 server in this process, and cuts connections in the middle of a DATA frame that the server
 * sends. Everything else passes as it is.
 */
export class CuttingRelay {
  readonly #cuts = new Map<number, Cut>()

  /** Cuts at the next DATA frame. `peer`: the address that the server sees the connection come from. */
  cut(peer: string, cut: Cut): void {
    this.#cuts.set(Number(peer.slice(peer.lastIndexOf(':') + 1)), cut)
  }

  /** Resolves with the port to connect to. */
  listen(address: string, serverPort: number): Promise<number> {
    const server = createServer((client) => {
      const upstream = connect({ port: serverPort, host: '127.0.0.1' })
      upstream.on('data', (bytes) => this.#forward(bytes, client, upstream))
      client.on('data', (bytes) => upstream.write(bytes))
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('error', () => undefined)
        one.on('close', () => other.destroy())
      }
    })
    const [host = '', port = ''] = address.split(':')
    return new Promise((resolve) => {
      server.listen(Number(port), host, () => resolve((server.address() as AddressInfo).port))
    })
  }

  /** What arrives begins with a whole frame: the server writes the frames of an answer at once. */
  #forward(bytes: Buffer, client: Socket, upstream: Socket): void {
    const cut = this.#cuts.get(upstream.localPort!)
    const at = cut === undefined ? -1 : dataFrameIn(bytes)
    if (cut === undefined || at < 0) {
      client.write(bytes)
      return
    }
    const payload = bytes.readUIntBE(at, 3)
    const kept = cut === 'half-head' ? HEAD_BYTES >> 1 : HEAD_BYTES + (payload >> 1)
    upstream.removeAllListeners('data')
    client.write(bytes.subarray(0, at + kept), () => {
      if (cut === 'half-frame') client.destroy()
      else client.resetAndDestroy()
    })
  }
}

/** Offset of the first DATA frame with a payload; -1: none. */
function dataFrameIn(bytes: Buffer): number {
  for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
    const payload = bytes.readUIntBE(at, 3)
    if (bytes[at + 3] === DATA && payload > 0) return at
    at += HEAD_BYTES + payload
  }
  return -1
}
