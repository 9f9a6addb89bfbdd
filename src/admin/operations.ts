import type {
  AgentView,
  BanChangeView,
  BanView,
  ConnectionView,
  LimitView,
  ReadinessCheck,
  StatusView,
} from './views.ts'

export interface BanRequest {
  readonly agent: string
  readonly reason: string
  /** Who asks, for the audit trail. */
  readonly author: string
  /** Milliseconds; undefined: until it is lifted. */
  readonly durationMs: number | undefined
}

/** What the admin API shows and changes; the running system stands behind it. */
export interface Operations {
  status(): StatusView
  /** All facts readiness depends on; ready when each is ok. */
  readiness(): readonly ReadinessCheck[]
  agents(): readonly AgentView[]
  connections(): readonly ConnectionView[]
  limits(): readonly LimitView[]
  bans(): readonly BanView[] | Promise<readonly BanView[]>
  /** The newest `limit` changes, of all agents when `agent` is undefined. @throws WeirError STORAGE */
  banHistory(agent: string | undefined, limit: number): Promise<readonly BanChangeView[]>
  /** Durable when resolved. @throws WeirError NOT_FOUND, STORAGE */
  ban(request: BanRequest): Promise<BanView>
  /** Durable when resolved; an agent that is not banned is no error. @throws WeirError NOT_FOUND, STORAGE */
  unban(agent: string, author: string): Promise<void>
  /** Takes an agent out of service: nothing new is sent, what is in flight ends. @throws WeirError NOT_FOUND */
  drain(agent: string): void
  /** Puts a drained agent back. @throws WeirError NOT_FOUND */
  undrain(agent: string): void
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
  /** Notes a change that an operator made. */
  audit(action: string, facts: Readonly<Record<string, unknown>>): void
}
