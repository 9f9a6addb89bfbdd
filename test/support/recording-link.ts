import { WeirError } from '../../src/core/errors.ts'
import type { AgentReply } from '../../src/core/reply.ts'
import type { TransportName } from '../../src/transport/connection.ts'
import type { ProxyLink, ProxyLinkHandler } from '../../src/transport/proxy-link.ts'

let links = 0

/** A link without a socket: keeps what is sent, and can be full or closed on demand. For the logic above it. */
export class RecordingLink implements ProxyLink {
  readonly id = ++links
  readonly transport: TransportName
  readonly peer = `test:${this.id}`
  readonly proxyId = 'test-proxy'
  readonly proxyVersion = '0.6.54'
  readonly metadata: Readonly<Record<string, string>> | undefined
  isClosed = false
  isWritable = true
  closedWith: WeirError | undefined
  /** An allow to this id throws, as a codec does that cannot write it. */
  unencodable: string | undefined
  readonly replies: AgentReply[] = []
  /** Everything but replies, as `[kind, message]`. */
  readonly sent: [kind: string, message: unknown][] = []
  readonly #handler: ProxyLinkHandler

  constructor(
    handler: ProxyLinkHandler,
    options: { transport?: TransportName; metadata?: Record<string, string> } = {},
  ) {
    this.#handler = handler
    this.transport = options.transport ?? 'uds'
    this.metadata = options.metadata
    handler.onOpen(this)
  }

  /** The one reply so far to this id; fails when there is none or more than one. */
  replyTo(correlationId: string): AgentReply {
    const found = this.replies.filter((reply) => reply.correlationId === correlationId)
    if (found.length !== 1) throw new Error(`${found.length} replies to ${correlationId}`)
    return found[0]!
  }

  reply(reply: AgentReply): void {
    if (this.isClosed) return
    if (reply.correlationId === this.unencodable && reply.decision.kind === 'allow')
      throw new WeirError('TOO_LARGE', 'over the limit', { sent: false })
    this.replies.push(reply)
  }
  sendHealth(report: unknown): void {
    this.sent.push(['health', report])
  }
  sendFlow(signal: unknown): void {
    this.sent.push(['flow', signal])
  }
  sendMetrics(report: unknown): void {
    this.sent.push(['metrics', report])
  }
  sendLog(message: unknown): void {
    this.sent.push(['log', message])
  }
  sendConfigUpdate(request: unknown): void {
    this.sent.push(['config-update', request])
  }
  close(): Promise<void> {
    this.end()
    return Promise.resolve()
  }
  destroy(reason: WeirError): void {
    this.end(reason)
  }

  /** The link ends, as when the peer hangs up. */
  end(reason?: WeirError): void {
    if (this.isClosed) return
    this.isClosed = true
    this.closedWith = reason
    this.#handler.onClosed(this, reason as WeirError)
  }
}
