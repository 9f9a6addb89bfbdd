/** Whether the store behind the limiter answers. */
export interface LimitStoreHealth {
  /**
   * Its last call failed or came late, or it took a lost one's place and is told what was spent; `onStoreFailure`
   * decides what it does not cover.
   */
  readonly isFailing: boolean
  /** How long that has been so, milliseconds; 0: it answers. */
  readonly failingForMs: number
  /** Calls that failed or came late. */
  readonly failures: number
  readonly lastError: string | undefined
}

/** What the limiter did since it started, and how it is now. */
export interface LimiterStats {
  /** Buckets in memory, and how many may be. */
  readonly size: number
  readonly capacity: number
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly denials: {
    readonly rateLimited: number
    readonly banned: number
    /** Would have been denied, but the limit only counts. */
    readonly shadow: number
    /** Denied because the store was out of reach. */
    readonly store: number
  }
  /** Denials of each limit in force. */
  readonly limits: readonly LimitDenials[]
  /** Checks that waited for tokens from the store. */
  readonly waits: number
  /** Allowed although the store was out of reach and the tokens were not covered. */
  readonly uncovered: number
  readonly bans: number
  /** Milliseconds since the last complete checkpoint; undefined: none yet. */
  readonly checkpointAgeMs: number | undefined
  readonly store: LimitStoreHealth & {
    /** Asks not sent yet, and calls not answered yet. */
    readonly backlog: number
    /** Buckets in the store, at least so many; undefined: not counted yet. */
    readonly rows: number | undefined
    /** Idle buckets forgotten by the store. */
    readonly expired: number
  }
}

/** What one limit denied since the start. */
export interface LimitDenials {
  readonly agent: string
  readonly limit: string
  readonly denials: number
  /** Would have been denied, but the limit only counted. */
  readonly shadowDenials: number
}

/** Counters behind {@link LimiterStats}, written by the limiter alone. */
export class LimiterCounters {
  hits = 0
  misses = 0
  evictions = 0
  rateLimited = 0
  banned = 0
  shadow = 0
  storeDenied = 0
  waits = 0
  uncovered = 0
  checkpointAtMs: number | undefined = undefined
  rows: number | undefined = undefined
  expired = 0
}
