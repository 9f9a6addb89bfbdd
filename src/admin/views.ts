import type { LoadMetrics } from '../core/agent-messages.ts'

/** What operators see. Plain data, as it goes out in JSON; times are milliseconds, instants are ISO 8601. */
export interface StatusView {
  readonly version: string
  readonly pid: number
  readonly uptimeMs: number
  readonly state: 'starting' | 'serving' | 'draining'
  readonly isReady: boolean
  /** Why it is not ready beside its agents: the checks that fail. */
  readonly unready: readonly ReadinessCheck[]
  readonly openRequests: number
  /** What measured load allows at agents; absent while it limits nothing. */
  readonly load: LoadView | undefined
  readonly agents: { readonly total: number; readonly ready: number }
  /** Agents that are not ready or have not taken their configuration, at most 100. */
  readonly troubles: readonly Trouble[]
  readonly routes: number
  readonly listeners: readonly ListenerView[]
  readonly config: ConfigStateView
}

export interface Trouble {
  readonly agent: string
  readonly state: AgentState
  /** Of an agent that is ready: what is wrong with its configuration. */
  readonly reason: string
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
  /** Options whose new values take effect at the next start only. */
  readonly pendingRestart: readonly string[]
}

/** What came into force with a reload. */
export interface AppliedView {
  readonly file: string
  readonly loadedAt: string
  /** Options whose new values take effect at the next start only. */
  readonly pendingRestart: readonly string[]
}

/** What a reload brought. */
export interface ReloadView extends AppliedView {
  /** Agents that go on with an older configuration of theirs; those that are still to answer after 2 s included. */
  readonly untaken: readonly UntakenView[]
}

/** An agent that has not taken its configuration. */
export interface UntakenView {
  readonly agent: string
  /** `refused`: it said no or never answered; `pending`: not settled yet; `untold`: at its next connection only. */
  readonly state: 'refused' | 'pending' | 'untold'
  /** Its own words where it gave some. */
  readonly reason: string
}

/**
 * What an event would meet now. `banned` and `draining` are an operator's decisions; `full`: every connection has as
 * much in flight as it takes; `half-open`: the breaker lets single events through to try the agent.
 */
export type AgentState =
  | 'ready'
  | 'draining'
  | 'banned'
  | 'unavailable'
  | 'breaker-open'
  | 'half-open'
  | 'paused'
  | 'full'

export interface AgentView {
  readonly name: string
  readonly origin: 'dialed' | 'reverse'
  /** Where it is dialed; for reverse agents the word `reverse`. */
  readonly endpoint: string
  readonly state: AgentState
  /** Why it is not ready, for people; empty when it is. */
  readonly reason: string
  /** Why its configuration (`agents.NAME.config`) is not in force there, for people; empty when it is. */
  readonly configTrouble: string
  readonly connections: number
  readonly availableConnections: number
  readonly wantedConnections: number
  readonly inFlight: number
  readonly waiting: number
  readonly breaker: 'closed' | 'open' | 'half-open'
  /** Until an open breaker tries the agent again; 0 when it is not open. */
  readonly breakerRetryMs: number
  readonly onFailure: 'closed' | 'open'
  /** Name and version that the agent gave; empty before its first connection. */
  readonly software: string
  /** Since the start. */
  readonly requests: number
  readonly errors: number
  readonly timeouts: number
  /** Events whose connection ended before their answer. */
  readonly connectionErrors: number
  readonly ejections: number
  readonly dialFailures: number
  /** Connections that ended by themselves, and those replaced or no longer wanted. */
  readonly lost: number
  readonly retired: number
  /** Pauses and resumes the agent asked for, and events that found it paused. */
  readonly pauses: number
  readonly resumes: number
  readonly flowRejections: number
  /** Events refused because too many waited already. */
  readonly overflows: number
  /** Of the last minute, 0 to 1. */
  readonly errorRate: number
  /** Mean of the connections' moving averages; 0 before the first answer. */
  readonly latencyMs: number
  /** Moving average of those that waited, and the sum of all. */
  readonly queueMs: number
  readonly queueMsTotal: number
  /** Bytes of bodies sent and not answered. */
  readonly bodyBytesInFlight: number
  readonly sessions: number
  /** What it announced; undefined without a connection. */
  readonly announced: AnnouncedView | undefined
  /** What it last reported of itself; undefined: nothing, or no figures. */
  readonly reported: ReportedView | undefined
  /** How often it was passed over, or its failure let pass, by reason. */
  readonly bypasses: Readonly<Record<string, number>>
  /** Events that were refused because it gave no usable answer, was limited or banned, by error code. */
  readonly denials: Readonly<Record<string, number>>
}

/** What an agent says it takes. Of these Weir applies `maxBodyBytes` alone. */
export interface AnnouncedView {
  /** Bytes of one body, and Weir shows it no more; 0: not stated. */
  readonly maxBodyBytes: number
  readonly preferredChunkBytes: number
  /** Milliseconds; 0: not stated. */
  readonly maxProcessingMs: number
}

/** Figures of the agent about itself, which nothing in Weir goes by. */
export interface ReportedView {
  /** Milliseconds since it came. */
  readonly ageMs: number
  readonly load: LoadMetrics | undefined
  /** By the names of the protocol. */
  readonly resources: Readonly<Record<string, number>>
}

export interface ConnectionView {
  readonly id: number
  readonly agent: string
  readonly transport: string
  readonly peer: string
  /** `trial`: it was out of use for its failures, and the next event tries it. */
  readonly state: string
  readonly inFlight: number
  /** Events at once that it may have. */
  readonly limit: number
  /** Moving average of replies; 0 before the first. */
  readonly latencyMs: number
  readonly ageMs: number
  /** Events it was used for, those that failed, and those of them without an answer in time. */
  readonly events: number
  readonly errors: number
  readonly timeouts: number
  /** Share of good outcomes among recent ones, 0 to 1. */
  readonly score: number
  /** Its share of traffic among its siblings: below 1 while it is new, after failures, or as the agent asked. */
  readonly weight: number
  /** Bytes of bodies sent and not answered. */
  readonly bodyBytesInFlight: number
}

export interface LimitView {
  readonly agent: string
  readonly name: string
  readonly key: string
  readonly ratePerSecond: number
  readonly burst: number
  readonly cost: 'event' | 'byte'
  readonly isShadow: boolean
  /** Whole tokens left; absent where each key has a bucket of its own, and while the store that knows is out of reach. */
  readonly remaining?: number | undefined
  /** Milliseconds until full; absent as `remaining` is, and where it never is. */
  readonly resetMs?: number | undefined
  /** Buckets of this limit in memory. */
  readonly keys: number
  /** Checks it denied since the start. */
  readonly denials: number
  /** Checks it would have denied, had it not only counted. */
  readonly shadowDenials: number
}

/** One bucket of a limit. */
export interface LimitKeyView {
  readonly limit: string
  /** Shortened where it may be a credential. */
  readonly key: string
  readonly remaining: number
  readonly burst: number
  /** Milliseconds until full; absent: never. */
  readonly resetMs?: number | undefined
  /** Denied, or counted in shadow mode, since the bucket came into memory. */
  readonly denials: number
  readonly isShadow: boolean
  /** Where the figure comes from; `full`: nobody knows this key, so its bucket is full. */
  readonly from: 'memory' | 'store' | 'full'
}

export interface LimitKeysView {
  readonly agent: string
  readonly keys: readonly LimitKeyView[]
  /** False: there were more buckets than one look may read. */
  readonly isComplete: boolean
}

/** How many sticky sessions one agent keeps. */
export interface SessionCountView {
  readonly agent: string
  readonly sessions: number
  readonly maxSessions: number
  /** 0: they never end. */
  readonly idleTtlMs: number
}

export interface SessionsView {
  readonly total: number
  readonly agents: readonly SessionCountView[]
}

export interface SessionView {
  readonly agent: string
  /** Shortened where it may be a credential. */
  readonly key: string
  /** Endpoint or instance that has the session's state. */
  readonly home: string
  /** Connection it is pinned to; 0: none at present, the next event finds one at its home. */
  readonly connection: number
  readonly idleMs: number
  readonly ageMs: number
}

export interface SessionPageView {
  readonly agent: string
  readonly total: number
  readonly offset: number
  readonly sessions: readonly SessionView[]
}

/**
 * What became of a pushed configuration. `pending`: not answered yet; `expired`: never answered; `replaced`: the
 * connection was replaced by one that was made with it; `unsupported`: the agent dials in and cannot be told.
 */
export type PushState =
  | 'pending'
  | 'acknowledged'
  | 'refused'
  | 'expired'
  | 'failed'
  | 'replacing'
  | 'replaced'
  | 'unsupported'

export interface PushView {
  readonly agent: string
  /** Counts up per agent. */
  readonly id: string
  /** Names the configuration by its content; empty: none. */
  readonly version: string
  readonly at: string
  readonly state: PushState
  readonly connections: readonly PushedConnectionView[]
}

export interface PushedConnectionView {
  readonly connection: number
  readonly state: PushState
  readonly attempts: number
  readonly error?: string | undefined
}

/** What a push began, and whom it left out. */
export interface PushesView {
  readonly pushes: readonly PushView[]
  readonly skipped: readonly { readonly agent: string; readonly reason: string }[]
}

export interface BanView {
  readonly agent: string
  readonly reason: string
  readonly author: string
  readonly since: string
  /** Absent: until it is lifted. */
  readonly until?: string | undefined
  /** False: not on disk yet, so in force in this daemon only and lost with it; it is written once the store answers. */
  readonly isWritten: boolean
}

/** What a lift found. */
export interface UnbanView {
  readonly agent: string
  /** False: there was nothing to lift. */
  readonly wasBanned: boolean
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
