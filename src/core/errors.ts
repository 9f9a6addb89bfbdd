/** What each error code means to a caller. The table is closed: code, docs and tests are kept equal. */
interface CodeFacts {
  /** The same call may succeed later without a change by the caller. */
  readonly retryable: boolean
  /** gRPC status number, https://grpc.io/docs/guides/status-codes/. */
  readonly grpc: number
  /** HTTP status that the front ends answer with. */
  readonly http: number
}

export const ERROR_CODES = {
  INVALID_ARGUMENT: { retryable: false, grpc: 3, http: 400 },
  UNAUTHENTICATED: { retryable: false, grpc: 16, http: 401 },
  PERMISSION_DENIED: { retryable: false, grpc: 7, http: 403 },
  NOT_FOUND: { retryable: false, grpc: 5, http: 404 },
  CONFLICT: { retryable: false, grpc: 10, http: 409 },
  BANNED: { retryable: false, grpc: 7, http: 403 },
  RATE_LIMITED: { retryable: true, grpc: 8, http: 429 },
  PAUSED: { retryable: true, grpc: 14, http: 503 },
  OVERLOADED: { retryable: true, grpc: 8, http: 503 },
  DRAINING: { retryable: true, grpc: 14, http: 503 },
  UNAVAILABLE: { retryable: true, grpc: 14, http: 503 },
  TIMEOUT: { retryable: true, grpc: 4, http: 504 },
  CANCELLED: { retryable: false, grpc: 1, http: 499 },
  CONNECTION_LOST: { retryable: false, grpc: 14, http: 502 },
  AFFINITY_LOST: { retryable: false, grpc: 9, http: 502 },
  PROTOCOL_ERROR: { retryable: false, grpc: 13, http: 502 },
  TOO_LARGE: { retryable: false, grpc: 8, http: 413 },
  INBOX_FULL: { retryable: true, grpc: 8, http: 429 },
  EXPIRED: { retryable: false, grpc: 9, http: 410 },
  STORAGE: { retryable: true, grpc: 14, http: 503 },
  INTERNAL: { retryable: false, grpc: 13, http: 500 },
} as const satisfies Record<string, CodeFacts>

export type ErrorCode = keyof typeof ERROR_CODES

/** What a rate limit tells the one it refused. */
export interface LimitFacts {
  /** Name of the limit that said no. */
  readonly rule: string
  /** Burst; 0 for a ban. */
  readonly limit: number
  /** Tokens per second; 0 for a ban. */
  readonly ratePerSecond: number
  /** Whole tokens left. */
  readonly remaining: number
  /** Milliseconds until nothing is missing any more; undefined: never. */
  readonly resetMs: number | undefined
}

export interface WeirErrorOptions {
  /**
   * Whether the event may have reached the agent. `false` means that no byte of it left this process, so
   * another connection may be tried; anything else must not be repeated. Default `true`: the safe side.
   */
  readonly sent?: boolean
  /** Milliseconds after which a retry can succeed; only with retryable codes. */
  readonly retryAfterMs?: number | undefined
  /** Only with RATE_LIMITED and BANNED. */
  readonly limit?: LimitFacts
  readonly cause?: unknown
}

/** The one error class of Weir: a closed code, a sentence for people, and what a caller may do next. */
export class WeirError extends Error {
  override readonly name = 'WeirError'
  readonly code: ErrorCode
  readonly sent: boolean
  readonly retryAfterMs: number | undefined
  readonly limit: LimitFacts | undefined

  constructor(code: ErrorCode, message: string, options: WeirErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.sent = options.sent ?? true
    this.retryAfterMs = options.retryAfterMs
    this.limit = options.limit
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code].http
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpc
  }

  /** Turns whatever was thrown into a WeirError; foreign errors become `INTERNAL` with their cause kept. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): WeirError {
    if (thrown instanceof WeirError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new WeirError(fallback, message, { cause: thrown })
  }
}
