import type {
  AgentView,
  BanChangeView,
  BanView,
  ConnectionView,
  LimitKeysView,
  LimitView,
  PushesView,
  PushView,
  ReadinessCheck,
  ReloadView,
  SessionPageView,
  SessionsView,
  SessionView,
  StatusView,
  UnbanView,
} from './views.ts'

export interface BanRequest {
  readonly agent: string
  readonly reason: string
  /** Who asks: a person or a program, as it names itself. Kept in the history. */
  readonly author: string
  /** Milliseconds; undefined: until it is lifted. */
  readonly durationMs: number | undefined
}

export type UnbanRequest = Omit<BanRequest, 'durationMs'>

/** A page of a list that may be long. */
export interface Page {
  /** Entries, >= 1. */
  readonly limit: number
  /** Entries to pass over. */
  readonly offset: number
}

/** Keys come from clients and may be credentials: they are shortened unless the operator asks for them. */
export interface Reveal {
  readonly isRevealed: boolean
}

export interface NewSession extends Reveal {
  readonly key: string
  /** Connection to pin it to; undefined: the one with the fewest events in flight. */
  readonly connection: number | undefined
}

/** Which buckets of an agent to show: that of one key, or the `limit` ones that stand out. */
export interface LimitKeysQuery extends Reveal {
  readonly key: string | undefined
  readonly by: 'denials' | 'remaining'
  readonly limit: number
}

/** What the admin API shows and changes; the running system stands behind it. */
export interface Operations {
  status(): StatusView
  /** All facts readiness depends on; ready when each is ok. */
  readiness(): readonly ReadinessCheck[]
  agents(): readonly AgentView[]
  connections(): readonly ConnectionView[]

  /** Reads the store where memory does not know. @throws WeirError NOT_FOUND */
  limits(agent: string | undefined): Promise<readonly LimitView[]>
  /** @throws WeirError NOT_FOUND, INVALID_ARGUMENT when no limit of the agent has keys */
  limitKeys(agent: string, query: LimitKeysQuery): Promise<LimitKeysView>

  bans(): readonly BanView[] | Promise<readonly BanView[]>
  /** The newest `limit` changes, of all agents when `agent` is undefined. @throws WeirError STORAGE */
  banHistory(agent: string | undefined, limit: number): Promise<readonly BanChangeView[]>
  /** Durable when resolved. @throws WeirError NOT_FOUND, STORAGE */
  ban(request: BanRequest): Promise<BanView>
  /** Durable when resolved; an agent that is not banned, or not known, is no error. @throws WeirError STORAGE */
  unban(request: UnbanRequest): Promise<UnbanView>

  /** How many sticky sessions each agent keeps. */
  sessions(): SessionsView
  /** The most recently used first. Looking prolongs nothing. @throws WeirError NOT_FOUND, INVALID_ARGUMENT */
  sessionPage(agent: string, page: Page & Reveal): SessionPageView
  /** Looking prolongs nothing. @throws WeirError NOT_FOUND, INVALID_ARGUMENT */
  session(agent: string, key: string, reveal: Reveal): SessionView
  /** Starts a session, or moves it. @throws WeirError NOT_FOUND, INVALID_ARGUMENT, UNAVAILABLE */
  createSession(agent: string, session: NewSession): Promise<SessionView>
  /** Ends one session; false when there was none. @throws WeirError NOT_FOUND, INVALID_ARGUMENT */
  clearSession(agent: string, key: string): Promise<boolean>
  /** Ends every session of the agent and says how many. @throws WeirError NOT_FOUND, INVALID_ARGUMENT */
  clearSessions(agent: string): Promise<number>

  /** The newest pushes first. @throws WeirError NOT_FOUND */
  pushes(agent: string | undefined, limit: number): readonly PushView[]
  /** Tells one agent, or all that can be told, their configuration again. @throws WeirError NOT_FOUND, CONFLICT */
  push(agent: string | undefined): PushesView

  /** Takes an agent out of service: nothing new is sent, what is in flight ends. @throws WeirError NOT_FOUND */
  drain(agent: string): void
  /** Puts a drained agent back. @throws WeirError NOT_FOUND */
  undrain(agent: string): void
  /** Reads the configuration file again; waits briefly for agents to take theirs. @throws WeirError INVALID_ARGUMENT, CONFLICT: the old one stays in force */
  reload(): Promise<ReloadView>
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
  /** Notes a change that an operator made. */
  audit(action: string, facts: Readonly<Record<string, unknown>>): void
}
