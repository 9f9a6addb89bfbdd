/** What operators see. Plain data, as it goes out in JSON; times are milliseconds, instants are ISO 8601. */
export interface StatusView {
  readonly version: string
  readonly pid: number
  readonly uptimeMs: number
  readonly state: 'starting' | 'serving' | 'draining'
  readonly isReady: boolean
  readonly openRequests: number
  /** What measured load allows at agents; absent while it limits nothing. */
  readonly load: LoadView | undefined
  readonly agents: { readonly total: number; readonly ready: number }
  readonly routes: number
  readonly listeners: readonly ListenerView[]
  readonly config: ConfigStateView
}

export interface LoadView {
  readonly inFlight: number
  readonly limit: number
  /** Load against its targets; 1 is as much as is wanted. */
  readonly pressure: number
  /** The figure the pressure comes from, while it is 1 or more. */
  readonly cause?: string | undefined
  /** Requests refused so far. */
  readonly refused: number
}

export interface ListenerView {
  /** The option that asked for it, `listen.http`. */
  readonly option: string
  /** With the real port. */
  readonly address: string
}

export interface ConfigStateView {
  readonly file: string
  /** When the configuration in force was read. */
  readonly loadedAt: string
  /** Problems of a newer file that was refused; empty when the newest is in force. */
  readonly refused: readonly string[]
}

export interface AgentView {
  readonly name: string
  readonly origin: 'dialed' | 'reverse'
  /** Where it is dialed; for reverse agents the word `reverse`. */
  readonly endpoint: string
  readonly state: 'ready' | 'unavailable' | 'paused' | 'draining'
  readonly connections: number
  readonly availableConnections: number
  readonly wantedConnections: number
  readonly inFlight: number
  readonly waiting: number
  readonly breaker: 'closed' | 'open' | 'half-open'
  readonly onFailure: 'closed' | 'open'
  /** Name and version that the agent gave; empty before its first connection. */
  readonly software: string
}

export interface ConnectionView {
  readonly id: number
  readonly agent: string
  readonly transport: string
  readonly peer: string
  readonly state: string
  readonly inFlight: number
  /** Moving average of replies; 0 before the first. */
  readonly latencyMs: number
  readonly ageMs: number
}

export interface LimitView {
  readonly agent: string
  readonly name: string
  readonly key: string
  readonly ratePerSecond: number
  readonly burst: number
  readonly cost: 'event' | 'byte'
  readonly isShadow: boolean
  /** Whole tokens left; absent where each client, route or session has a bucket of its own. */
  readonly remaining?: number | undefined
}

export interface BanView {
  readonly agent: string
  readonly reason: string
  readonly author: string
  readonly since: string
  /** Absent: until it is lifted. */
  readonly until?: string | undefined
}

/** One line of the history of bans. */
export interface BanChangeView {
  readonly agent: string
  readonly action: 'ban' | 'unban'
  readonly reason: string
  readonly author: string
  readonly at: string
  /** Of a timed ban. */
  readonly until?: string | undefined
}

/** One fact that readiness depends on. */
export interface ReadinessCheck {
  readonly name: string
  readonly isOk: boolean
  readonly detail: string
}
