import { WeirError } from '../../core/errors.ts'
import { isFieldName } from '../../core/header-field.ts'
import type { SessionKeySource } from '../session-key.ts'

/** Where the front end listens. Port 0 takes any free port. */
export type ListenAddress =
  | { readonly host: string; readonly port: number }
  /** A Unix socket. */
  | { readonly path: string }

export interface UpstreamOptions {
  /** Milliseconds to make a connection; then 504. Default 5000. */
  readonly connectTimeoutMs?: number
  /** Milliseconds from the sent request to the complete response head; then 504. Default 60,000. */
  readonly headersTimeoutMs?: number
  /** Milliseconds without a byte of the response body while we are reading; then it is cut. Default 60,000. */
  readonly bodyIdleTimeoutMs?: number
  /** Milliseconds an unused connection is kept. Default 4000, below what servers commonly keep (5000). */
  readonly keepAliveTimeoutMs?: number
  /** Connections to one origin; further requests wait for one. Default 0: as many as there are requests. */
  readonly maxConnections?: number
  /** Bytes of a response head; more is 502. Default 65,536. */
  readonly maxHeaderBytes?: number
}

export interface WebSocketOptions {
  /** Bytes of one frame, when frames are inspected; a larger one closes with 1009. Default 1 MiB. */
  readonly maxFrameBytes?: number
  /** Milliseconds a side may take to end its connection after a close frame. Default 5000. */
  readonly closeTimeoutMs?: number
}

/** Every member may be left out. Sizes in bytes, durations in milliseconds. */
export interface HttpFrontendOptions {
  /** Default 127.0.0.1, port 8080. */
  readonly listen?: ListenAddress
  /** Bytes of a request head, request line included; more is 431. Default 65,536. */
  readonly maxHeaderBytes?: number
  /** Time a client has for a complete request head, however slowly it drips; then 408. Default 10,000. */
  readonly headersTimeoutMs?: number
  /** Time without progress while we wait for the client to send or take a body. Default 30,000. */
  readonly bodyIdleTimeoutMs?: number
  /**
   * Time a client has to send a request body, however steadily it drips; then 408. Each `bodyMinBytesPerSecond` received
   * add a second; time in which we stopped reading does not count. 0: no bound. Default 30,000.
   */
  readonly bodyTimeoutMs?: number
  /** Bytes per second below which a body counts as dripping. 0: `bodyTimeoutMs` is for the whole body. Default 500. */
  readonly bodyMinBytesPerSecond?: number
  /** Whether upstreams are told the correlation id, as x-weir-correlation-id. Default true. */
  readonly forwardCorrelationId?: boolean
  /** Whether client connections outlive one request. Default true. */
  readonly keepAlive?: boolean
  /** Time a client connection may idle between requests. Default 60,000. */
  readonly keepAliveTimeoutMs?: number
  /**
   * Addresses or CIDR ranges of proxies in front of us. From them x-forwarded-* is believed and appended to;
   * from anybody else it is replaced. Default: nobody.
   */
  readonly trustedProxies?: readonly string[]
  /** Name to announce in `via`, request and response. Default: no such header. */
  readonly via?: string
  /** Default: requests have no session. */
  readonly sessionKey?: SessionKeySource
  /** Time that `drain` leaves open requests. Default 30,000. */
  readonly drainTimeoutMs?: number
  readonly upstream?: UpstreamOptions
  readonly webSocket?: WebSocketOptions
}

/** {@link HttpFrontendOptions} with nothing left open. */
export interface HttpFrontendSettings {
  readonly listen: ListenAddress
  readonly maxHeaderBytes: number
  readonly headersTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly bodyMinBytesPerSecond: number
  readonly forwardCorrelationId: boolean
  readonly keepAlive: boolean
  readonly keepAliveTimeoutMs: number
  readonly trustedProxies: readonly string[]
  readonly via: string | undefined
  readonly sessionKey: SessionKeySource | undefined
  readonly drainTimeoutMs: number
  readonly upstream: Required<UpstreamOptions>
  readonly webSocket: Required<WebSocketOptions>
}

export const DEFAULT_SETTINGS: HttpFrontendSettings = Object.freeze({
  listen: Object.freeze({ host: '127.0.0.1', port: 8080 }),
  maxHeaderBytes: 64 * 1024,
  headersTimeoutMs: 10_000,
  bodyIdleTimeoutMs: 30_000,
  bodyTimeoutMs: 30_000,
  bodyMinBytesPerSecond: 500,
  forwardCorrelationId: true,
  keepAlive: true,
  keepAliveTimeoutMs: 60_000,
  trustedProxies: Object.freeze([]) as readonly string[],
  via: undefined,
  sessionKey: undefined,
  drainTimeoutMs: 30_000,
  upstream: Object.freeze({
    connectTimeoutMs: 5000,
    headersTimeoutMs: 60_000,
    bodyIdleTimeoutMs: 60_000,
    keepAliveTimeoutMs: 4000,
    maxConnections: 0,
    maxHeaderBytes: 64 * 1024,
  }),
  webSocket: Object.freeze({ maxFrameBytes: 1024 * 1024, closeTimeoutMs: 5000 }),
})

/** Fills in the defaults. Throws INVALID_ARGUMENT for a number out of range, and for a `via` no header can have. */
export function completeOptions(options: HttpFrontendOptions): HttpFrontendSettings {
  const settings: HttpFrontendSettings = {
    ...DEFAULT_SETTINGS,
    ...options,
    upstream: { ...DEFAULT_SETTINGS.upstream, ...options.upstream },
    webSocket: { ...DEFAULT_SETTINGS.webSocket, ...options.webSocket },
  }
  checkNumbers('http', settings)
  const { via } = settings
  if (via !== undefined && !isFieldName(via)) {
    throw new WeirError(
      'INVALID_ARGUMENT',
      `http.via is ${JSON.stringify(via)}; give a name without blanks, as it stands in a header; example: weir`,
    )
  }
  checkNumbers('http.upstream', settings.upstream)
  checkNumbers('http.webSocket', settings.webSocket)
  return Object.freeze(settings)
}

/** Numbers whose 0 means that there is no bound. */
const MAY_BE_ZERO: ReadonlySet<string> = new Set(['maxConnections', 'bodyTimeoutMs', 'bodyMinBytesPerSecond'])

function checkNumbers(where: string, group: object): void {
  for (const [name, value] of Object.entries(group)) {
    if (typeof value !== 'number') continue
    const least = MAY_BE_ZERO.has(name) ? 0 : 1
    if (!Number.isSafeInteger(value) || value < least) {
      throw new WeirError(
        'INVALID_ARGUMENT',
        `${where}.${name} is ${value}; give a whole number from ${least}`,
      )
    }
  }
}
