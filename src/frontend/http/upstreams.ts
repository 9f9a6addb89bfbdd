import { isIP } from 'node:net'
import { Pool } from 'undici'
import { WeirError } from '../../core/errors.ts'
import type { UpstreamOptions } from './options.ts'

/**
 * The connections to one origin. Routes hold it, requests use it; when the last route is gone it closes after
 * the last request, so that a change of routes drops nobody.
 */
export class Upstream {
  readonly origin: string
  readonly pool: Pool
  /** Name for TLS: the origin's own, not whatever host a client asked for. Undefined without TLS. */
  readonly tlsName: string | undefined
  #inUse = 0
  #isRetired = false

  /** Throws INVALID_ARGUMENT when `origin` is not an http or https origin. */
  constructor(origin: string, options: Required<UpstreamOptions>) {
    this.origin = checkedOrigin(origin)
    const { protocol, hostname } = new URL(this.origin)
    this.tlsName = protocol === 'https:' && isIP(hostname) === 0 ? hostname : undefined
    this.pool = new Pool(this.origin, {
      connections: options.maxConnections === 0 ? null : options.maxConnections,
      pipelining: 1,
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.bodyIdleTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      /* An upstream's own `keep-alive: timeout=` may shorten the stay, not draw it out. */
      keepAliveMaxTimeout: options.keepAliveTimeoutMs,
      maxHeaderSize: options.maxHeaderBytes,
      connect: { timeout: options.connectTimeoutMs },
    })
  }

  use(): void {
    this.#inUse++
  }

  release(): void {
    this.#inUse--
    if (this.#isRetired && this.#inUse === 0) this.#close()
  }

  /** No route leads here any more. */
  retire(): void {
    this.#isRetired = true
    if (this.#inUse === 0) this.#close()
  }

  async destroy(): Promise<void> {
    await this.pool.destroy()
  }

  #close(): void {
    /* Closing a pool that was destroyed meanwhile rejects; there is nothing left to close then. */
    this.pool.close().catch(() => undefined)
  }
}

function checkedOrigin(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new WeirError('INVALID_ARGUMENT', `upstream "${text}" is not a URL`, { cause })
  }
  const isHttp = url.protocol === 'http:' || url.protocol === 'https:'
  if (!isHttp || url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new WeirError(
      'INVALID_ARGUMENT',
      `upstream "${text}" must be an origin such as http://127.0.0.1:3000, without a path`,
    )
  }
  return url.origin
}
