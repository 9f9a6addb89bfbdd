import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import { rebindChoice } from '../policy/sessions/rebind.ts'
import { SessionTable, type SessionTableOptions } from '../policy/sessions/session-table.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Roster } from './roster.ts'
import type { SessionStore } from './session-store.ts'

/** Sessions written per transaction: large enough for one disk flush a second, small enough to stay short. */
const BATCH = 5000
/** Sessions swept per visit, so that a visit stays below a millisecond. */
const SWEEP = 5000

/** The sticky sessions of one agent and their way to the store. With `before` it goes on from there. */
export class StickySessions {
  readonly table: SessionTable
  /** Told the agent's name when changes wait to be written and none did before. Set by the agent's pool. */
  onDirty: ((agent: string) => void) | undefined
  readonly #agent: string
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #store: SessionStore | undefined
  #writing: Promise<void> | undefined
  #mayBind = false
  /** The store was read into this table or into the one it goes on from; it lags behind since. */
  #isLoaded = false

  constructor(
    agent: string,
    options: SessionTableOptions,
    store: SessionStore | undefined,
    clock: Clock,
    probe: Probe,
    before?: StickySessions,
  ) {
    this.#agent = agent
    this.#clock = clock
    this.#probe = probe
    this.#store = store
    this.table =
      store === undefined
        ? new SessionTable(options)
        : new SessionTable({ ...options, isStored: true, onDirty: () => this.onDirty?.(agent) })
    if (before === undefined) return
    this.#isLoaded = before.#isLoaded
    this.#takeOver(before)
  }

  /**
   * The connection this session goes to; undefined: the picker's choice, to be told to {@link settle}. A busy
   * connection lends its session out for one event, a lost one hands it on (see `rebindChoice`). `avoid`: id of
   * a connection that just failed.
   */
  wanted(key: string, avoid: number, now: number, roster: Roster): LiveConnection | undefined {
    this.#mayBind = true
    const session = this.table.use(key, now)
    if (session === undefined) return undefined
    const pinned = roster.find(session.connectionId)
    const state = pinned === undefined ? 'gone' : stateOf(pinned, avoid, now)
    const neighbour = state === 'gone' ? leastLoadedAt(session.home, avoid, roster.ready) : undefined
    switch (rebindChoice(state, neighbour !== undefined)) {
      case 'pinned':
        return pinned
      case 'borrow':
        this.#mayBind = false
        return undefined
      case 'same-home':
        this.table.rebind(key, session.home, neighbour!.id, now)
        return neighbour
      case 'anywhere':
        return undefined
    }
  }

  /** The picker chose for the session that {@link wanted} was just asked about. */
  settle(key: string, live: LiveConnection, now: number): void {
    if (!this.#mayBind) return
    if (!this.table.rebind(key, live.home, live.id, now)) {
      this.table.create(key, live.home, live.id, now)
    }
  }

  /** Reads the stored sessions, once. A store that fails costs the old sessions, not the agent. */
  async load(): Promise<void> {
    if (this.#store === undefined || this.#isLoaded) return
    this.#isLoaded = true
    try {
      const rows = await this.#store.load(this.#agent)
      this.table.restore(rows, this.#clock.now(), this.#clock.wallMs())
    } catch (error) {
      this.#failed('could not be read', error)
    }
  }

  /** Something waits to be written. */
  get isDirty(): boolean {
    return this.#store !== undefined && this.table.dirty > 0
  }

  /** Sweeps and writes behind; called now and then. Returns true while there is more to do. */
  visit(now: number): boolean {
    const swept = this.table.expire(now, SWEEP)
    if (this.table.dirty > 0) void this.flush()
    return swept === SWEEP || this.table.dirty > 0
  }

  /** Writes all changes so far. One transaction at a time; what fails is kept for the next. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    return this.#writing
  }

  async #write(): Promise<void> {
    const store = this.#store
    if (store === undefined) return
    while (this.table.dirty > 0) {
      const changes = this.table.drainDirty(this.#clock.now(), this.#clock.wallMs(), BATCH)
      try {
        await store.saveBatch(this.#agent, changes)
      } catch (error) {
        this.table.restoreDirty(changes)
        this.#failed('could not be written; they are kept and tried again', error)
        return
      }
    }
  }

  #takeOver(before: StickySessions): void {
    const now = this.#clock.now()
    const wallMs = this.#clock.wallMs()
    const rows = before.table
      .list(now, Number.POSITIVE_INFINITY)
      .map(({ key, home, createdAt, lastUsedAt }) => ({
        key,
        home,
        createdAtMs: wallMs - (now - createdAt),
        lastUsedAtMs: wallMs - (now - lastUsedAt),
      }))
    this.table.restore(rows, now, wallMs)
  }

  #failed(what: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#probe.notice?.('warn', `agent ${this.#agent}: sticky sessions ${what}: ${reason}`)
  }
}

function stateOf(pinned: LiveConnection, avoid: number, now: number): 'available' | 'busy' | 'gone' {
  if (pinned.id === avoid) return 'busy'
  if (pinned.isAvailable) return 'available'
  return pinned.stage === 'ready' && pinned.health.state(now) !== 'draining' ? 'busy' : 'gone'
}

function leastLoadedAt(
  home: string,
  avoid: number,
  ready: readonly LiveConnection[],
): LiveConnection | undefined {
  let best: LiveConnection | undefined
  for (const live of ready) {
    if (live.home !== home || live.id === avoid || !live.isAvailable) continue
    if (best === undefined || live.inFlight < best.inFlight) best = live
  }
  return best
}
