import type { Clock } from '../../core/clock.ts'
import type { WeirError } from '../../core/errors.ts'
import type { FrameLimits } from '../../wire/codec.ts'
import type { TlsClientOptions, TlsServerOptions } from '../tls-options.ts'
import type { GrpcRoutes } from './grpc-routes.ts'

/** `http2` is the fast one; `grpc-js` is the reference it is tested against. */
export type GrpcImplementation = 'http2' | 'grpc-js'

export interface GrpcDialerOptions {
  /** Default `http2`. */
  readonly implementation?: GrpcImplementation
  /** Needed for `https://`; optional for `grpcs://`, which trusts the system's authorities without it. */
  readonly tls?: TlsClientOptions | undefined
  /**
   * HTTP/2 pings that find a dead peer without traffic. Default none: many servers end connections that ping
   * more often than every five minutes. The kernel's TCP keepalive is always on.
   */
  readonly keepalive?: { readonly intervalMs: number; readonly timeoutMs: number } | undefined
  /**
   * Which of a name's addresses the n-th dial takes. Names are looked up at each dial. Default: the next one each
   * time, so that the connections of a pool spread over all addresses.
   */
  readonly rotation?: (() => number) | undefined
  readonly limits?: FrameLimits | undefined
  readonly clock?: Clock
}

export interface GrpcListenerOptions {
  /** Default `http2`. */
  readonly implementation?: GrpcImplementation
  readonly tls?: TlsServerOptions | undefined
  readonly limits?: FrameLimits | undefined
  /** Clients at once that have made no call yet; one more, and the oldest is closed. Default 256. `http2` only. */
  readonly maxNewcomers?: number | undefined
  /** Milliseconds a client has from its connection to its first call. Default 60,000. `http2` only. */
  readonly firstCallTimeoutMs?: number | undefined
  /** Told of each client that was closed for one of the two: OVERLOADED or TIMEOUT. */
  readonly onDropped?: ((peer: string, reason: WeirError) => void) | undefined
  /** More calls to serve on the same port, by path. `http2` only. */
  readonly services?: GrpcRoutes | undefined
  readonly clock?: Clock
}
