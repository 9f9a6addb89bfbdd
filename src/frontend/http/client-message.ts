import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { WeirError } from '../../core/errors.ts'
import { RequestShape } from './request-shape.ts'

/**
 * A request whose headers are looked over once, by us. Node's own `headers` object is not built: its server
 * asks it for `expect` alone, which the shape has.
 */
export class ClientRequest extends IncomingMessage {
  #shape: RequestShape | undefined
  /** Written by the base class's constructor, before a field of ours could be initialised. */
  declare upgradeOffered: boolean | null

  get shape(): RequestShape {
    this.#shape ??= new RequestShape(this)
    return this.#shape
  }

  /**
   * True for CONNECT and WebSocket only. Other offers (`h2c` comes with every first request of some clients) are
   * ignored, which Node would do only if we served no upgrades at all.
   */
  get wantsUpgrade(): boolean | null {
    if (this.upgradeOffered !== true) return this.upgradeOffered
    return this.method === 'CONNECT' || (this.method === 'GET' && this.shape.asksForWebSocket)
  }

  set wantsUpgrade(value: boolean | null) {
    this.upgradeOffered = value
  }
}

/** Node's server reads and writes these names; the base class declares them as plain properties. */
Object.defineProperty(ClientRequest.prototype, 'headers', {
  get(this: ClientRequest): RequestShape {
    return this.shape
  },
})
Object.defineProperty(
  ClientRequest.prototype,
  'upgrade',
  Object.getOwnPropertyDescriptor(ClientRequest.prototype, 'wantsUpgrade')!,
)

/** What became of a client's request, when its response closes. */
export interface ResponseOwner {
  responseClosed(): void
  responseDrained(): void
  requestBroken(error: WeirError): void
}

/** A response that knows the exchange it belongs to, so that its events need no closures. */
export class ClientResponse extends ServerResponse<ClientRequest> {
  owner: ResponseOwner | undefined
  /** Node's own: the head as it will be sent, from `writeHead` until the first write. */
  declare _header: string | null

  /**
   * Ends a response whose head was written but not sent. Node would hand head and body to the socket as two pieces,
   * joined by a vectored write; as the end of the head a small body costs one plain write.
   */
  endWithHead(body: Buffer): void {
    if (typeof this._header !== 'string' || this.chunkedEncoding) {
      this.end(body)
      return
    }
    this._header += body.toString('latin1')
    this.end()
  }
}

export function onResponseClosed(this: ClientResponse): void {
  this.owner?.responseClosed()
}

export function onResponseDrained(this: ClientResponse): void {
  this.owner?.responseDrained()
}

/** Whether the other end of a client connection is a proxy we trust, looked up once per connection. */
export interface Peer {
  readonly address: string
  readonly port: number
  readonly isTrusted: boolean
}

const PEER = Symbol('peer')
type PeerSocket = Socket & { [PEER]?: Peer }

export function peerOf(socket: Socket, isTrusted: (address: string) => boolean): Peer {
  const known = (socket as PeerSocket)[PEER]
  if (known !== undefined) return known
  const address = plainAddress(socket.remoteAddress ?? '')
  const peer: Peer = { address, port: socket.remotePort ?? 0, isTrusted: isTrusted(address) }
  ;(socket as PeerSocket)[PEER] = peer
  return peer
}

/** `::ffff:192.0.2.1` is how a dual-stack socket shows 192.0.2.1. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
