import type { RequestFactsIn } from '../request-scope.ts'

/** One event that is about to go to one agent. The pipeline passes its own record: nothing is made per check. */
export interface LimitRequest {
  readonly agentName: string
  readonly facts: RequestFactsIn
  readonly routeName: string
  /** Payload bytes of the event: what a limit with `cost: byte` charges. */
  readonly payloadBytes: number
  /**
   * `Clock.now()` of the turn of the check, when the caller has it already; else the limiter looks at its clock, and
   * `refund` gives nothing back of a limit that refills.
   */
  readonly startedAt?: number
}

/** Also the receipt for `refund`: what was taken, and from whom. */
export interface LimitAllowed {
  readonly allowed: true
}

export interface LimitDenied {
  readonly allowed: false
  readonly code: 'RATE_LIMITED' | 'BANNED'
  /** Milliseconds after which the same request can succeed; undefined: never by waiting. */
  readonly retryAfterMs: number | undefined
  /** Burst of the limit that said no; 0 for a ban. */
  readonly limit: number
  /** Tokens per second of that limit; 0 for a ban. */
  readonly ratePerSecond: number
  /** Whole tokens left; 0 for a ban. */
  readonly remaining: number
  /** Milliseconds until the bucket is full again; for a ban until it ends; undefined: never. */
  readonly resetMs: number | undefined
  /** Name of the limit that said no; `ban` for a ban. */
  readonly rule: string
  /** For people: why. */
  readonly reason?: string
  /** Nobody could say whether there are tokens: the caller is not over its limit as far as is known. */
  readonly isUnknown?: boolean
  /** The limit only counts: the caller must let the event pass. */
  readonly shadow: boolean
  /** In shadow mode: what the other limits took. */
  readonly taken?: LimitAllowed
}

export type LimitVerdict = LimitAllowed | LimitDenied

/**
 * Asked once per event and agent, before a connection is picked. Answers in the same turn on a cache hit; a
 * promise means that tokens are being fetched, and it never rejects and never outlasts the store's timeout.
 */
export interface LimitGate {
  check(request: LimitRequest): LimitVerdict | Promise<LimitVerdict>
  /** Gives back what a check took, when the event was not sent after all. `receipt`: what that check answered. */
  refund(request: LimitRequest, receipt: LimitAllowed): void
}

/** What a check returns that took its cost from every limit of the agent: one shared object. */
export const ALLOWED: LimitAllowed = Object.freeze({ allowed: true })

/** What a check returns that took nothing: there is no limit, or nobody could say and the policy is to allow. */
export const UNCOUNTED: LimitAllowed = Object.freeze({ allowed: true })

/** For a pipeline without limits. */
export const NO_LIMITS: LimitGate = Object.freeze({ check: () => UNCOUNTED, refund: () => undefined })
