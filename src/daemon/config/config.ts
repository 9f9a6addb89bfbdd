import type { BackoffOptions } from '../../core/backoff.ts'
import type { EventKind } from '../../core/event.ts'
import type { HttpFrontendOptions } from '../../frontend/http/options.ts'
import type { SessionKeySource } from '../../frontend/session-key.ts'
import type { BreakerOptions } from '../../policy/breaker/breaker.ts'
import type { AdaptiveLimitOptions } from '../../policy/limits/adaptive-limit.ts'
import type { LoadTargets } from '../../policy/limits/load-pressure.ts'
import type { StrategyName } from '../../policy/picker.ts'
import type { StoreFailurePolicy } from '../../proxy/limits/leased-buckets.ts'
import type { LimitRule } from '../../proxy/limits/limit-rule.ts'
import type { Address, BindAddress, Endpoint } from './addresses.ts'

/** A checked configuration with every default filled in and every path absolute. Deeply frozen. */
export interface Config {
  /** Absolute path of the file it came from. */
  readonly file: string
  /** Every file that was read for it, itself included. */
  readonly files: readonly string[]
  readonly listen: ListenConfig
  /** The HTTP front end, without its address. */
  readonly http: HttpFrontendOptions
  readonly storage: StorageConfig
  readonly agents: readonly AgentConfig[]
  readonly routes: readonly RouteConfig[]
  readonly drainTimeoutMs: number
  /** Milliseconds between not ready and closing the listeners. */
  readonly drainDelayMs: number
  readonly maxOpenRequests: number
  /** Undefined: measured load limits nothing. */
  readonly overload: OverloadConfig | undefined
  readonly sessionKey: SessionKeySource | undefined
  readonly log: LogConfig
}

export interface ListenConfig {
  readonly http: Address | undefined
  readonly grpc: Address | undefined
  readonly socket: Address | undefined
  readonly reverse: readonly ReverseListenConfig[]
  readonly admin: Address | undefined
  readonly socketMode: 0o600 | 0o660
}

export interface ReverseListenConfig {
  readonly address: BindAddress
  /** PEM text; only with `tls://`. */
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly clientCa: string | undefined
}

export interface StorageConfig {
  /** Absolute path of the SQLite file. */
  readonly path: string
  /** Rate-limit buckets in memory. */
  readonly maxBuckets: number
  readonly onFailure: StoreFailurePolicy
  /** Whether slices of checkpoints follow the measured load. */
  readonly batches: 'adaptive' | 'fixed'
}

/** Requests at agents, and the load that they are limited by. */
export interface OverloadConfig extends AdaptiveLimitOptions {
  readonly targets: LoadTargets
}

export interface LogConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** Share of plain allows that get an access line, 0 to 1. */
  readonly sampleAllows: number
}

/** How connections to an agent come about. */
export type AgentOrigin =
  | {
      readonly kind: 'dialed'
      readonly endpoint: Endpoint
      readonly tls: AgentTls | undefined
      readonly encodings: readonly ('msgpack' | 'json')[]
      readonly implementation: 'http2' | 'grpc-js'
    }
  | {
      readonly kind: 'reverse'
      /** Lower-case hex. */
      readonly tokenSha256s: readonly string[]
      readonly clientCertificateSan: string | undefined
      readonly maxConnections: number
    }

/** PEM texts. */
export interface AgentTls {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly insecureSkipVerify: boolean
}

export interface AgentConfig {
  readonly name: string
  readonly origin: AgentOrigin
  readonly events: readonly EventKind[]
  readonly connections: number
  readonly balance: StrategyName
  readonly timeoutMs: number
  /** 1: what a degraded agent asks for is not heard. */
  readonly maxTimeoutMultiplier: number
  readonly connectTimeoutMs: number
  readonly onFailure: 'closed' | 'open'
  readonly onPause: 'closed' | 'open' | 'wait'
  readonly flowWaitMs: number
  /** Undefined: never. */
  readonly hedgeAfterMs: number | undefined
  readonly maxConcurrentPerConnection: number
  readonly maxBurst: number
  readonly maxWaiters: number
  readonly breaker: BreakerOptions
  readonly reconnect: BackoffOptions
  readonly sessions: SessionsConfig
  readonly slowStartMs: number
  readonly heartbeatMs: number
  readonly stallMs: number
  /** Infinity: never replaced for its age. */
  readonly maxConnectionAgeMs: number
  /** Infinity: never replaced for its use. */
  readonly maxConnectionUses: number
  readonly maxEjectedShare: number
  readonly body: BodyConfig
  readonly limits: readonly LimitRule[]
  /** What a limit or a ban does. */
  readonly onLimit: 'deny' | 'skip'
  /** Undefined: none is sent. */
  readonly config: unknown
}

export interface SessionsConfig {
  /** Infinity: they never end. */
  readonly idleTtlMs: number
  /** 0: none are kept. */
  readonly maxSessions: number
}

export interface BodyConfig {
  readonly mode: 'stream' | 'buffer'
  /** Bytes. */
  readonly maxBytes: number
  readonly onTooLarge: 'reject' | 'skip'
  /** Bytes that may be asked about beyond the piece whose verdict is awaited. */
  readonly aheadBytes: number
}

export interface RouteConfig {
  readonly name: string
  readonly host: string | undefined
  readonly path: string
  /** Origin without a trailing slash. */
  readonly upstream: string | undefined
  readonly agents: readonly string[]
  readonly parallel: boolean
}
