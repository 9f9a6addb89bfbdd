import type { Clock } from '../core/clock.ts'
import { type ErrorCode, WeirError } from '../core/errors.ts'
import type { Connection } from '../transport/connection.ts'
import type { LiveConnection } from './live-connection.ts'
import type { AgentConfig } from './managed-pool.ts'

/** How one connection took a pushed configuration. */
export type ConfigPushState =
  | 'sent'
  | 'acknowledged'
  | 'refused'
  | 'failed'
  /** Cannot be told while it runs; it is replaced by a connection that is made with the configuration. */
  | 'replacing'
  /** Cannot be told, and the agent dials in itself: it learns at its next connection. */
  | 'unsupported'

export interface ConfigPushEntry {
  readonly connectionId: number
  readonly state: ConfigPushState
  readonly attempts: number
  readonly code: ErrorCode | undefined
  readonly error: string | undefined
}

/** One push of one agent's configuration and what became of it. */
export interface ConfigPush {
  /** `push-1`, `push-2`, ..., counted by {@link PushCount}. */
  readonly id: string
  readonly version: string | undefined
  readonly startedAtMs: number
  readonly connections: ReadonlyMap<number, ConfigPushEntry>
  /** Resolves when every connection was settled. */
  readonly done: Promise<void>
}

/** Pushes so far of all pools that share it; a process has one, so that no two of its pushes have the same id. */
export interface PushCount {
  last: number
}

/** The protocol's own figures. */
const ACK_TIMEOUT_MS = 10_000
/** How long a new connection is kept from traffic for its first acknowledgement: the protocol's least wait. */
const FIRST_ACK_MS = 5000
const MAX_ATTEMPTS = 3
const RETRY_MS = 2000
const MAX_KEPT = 100

/** Between two attempts to tell one connection. */
interface Pause {
  readonly live: LiveConnection
  end(how: 'over' | 'gone'): void
}

/** Pushes configurations to an agent's connections and keeps account of the acknowledgements. */
export class ConfigPusher {
  readonly #agent: string
  readonly #clock: Clock
  readonly #isReplaceable: boolean
  readonly #pushes: ConfigPush[] = []
  readonly #pauses = new Set<Pause>()
  readonly #count: PushCount

  /** `isReplaceable`: a connection that cannot be told can be dialled anew. */
  constructor(agent: string, clock: Clock, isReplaceable: boolean, count: PushCount = { last: 0 }) {
    this.#agent = agent
    this.#clock = clock
    this.#isReplaceable = isReplaceable
    this.#count = count
  }

  /** The last 100, oldest first. */
  get pushes(): readonly ConfigPush[] {
    return this.#pushes
  }

  push(setup: AgentConfig, connections: Iterable<LiveConnection>): ConfigPush {
    const entries = new Map<number, ConfigPushEntry>()
    const deliveries = Array.from(connections, (live) => this.#deliver(live, setup, entries))
    return this.#keep(setup.version, entries, deliveries)
  }

  /** The connection is gone: nothing is tried on it again. */
  forget(live: LiveConnection): void {
    for (const pause of this.#pauses) if (pause.live === live) pause.end('gone')
  }

  /** Tells a connection again what it was told; one that cannot be told at run time is left as it is. */
  resend(setup: AgentConfig, live: LiveConnection): void {
    if (canBeTold(live.connection)) this.push(setup, [live])
  }

  /**
   * Tells a connection that an agent made its configuration, as a dialer does while it dials. `onSettled` is called
   * once, when the agent took it or was silent for {@link FIRST_ACK_MS}: the protocol knows no configuration over
   * connections that agents make, so an agent of another make may never answer. One that refuses is dropped.
   */
  deliverFirst(setup: AgentConfig, live: LiveConnection, onSettled: (isAcknowledged: boolean) => void): void {
    const entries = new Map<number, ConfigPushEntry>()
    let isAwaited = true
    const settle = (isAcknowledged: boolean): void => {
      patience.cancel()
      if (isAwaited) onSettled(isAcknowledged)
      isAwaited = false
    }
    const patience = this.#clock.setTimer(FIRST_ACK_MS, () => settle(false))
    const delivery = this.#tell(live, setup, entries).then(() => {
      const { state, error } = entries.get(live.id)!
      if (state !== 'refused') {
        settle(state === 'acknowledged')
        return
      }
      patience.cancel()
      const message = `agent ${this.#agent}: configuration not taken: ${error}`
      live.destroy(new WeirError('PERMISSION_DENIED', message))
    })
    this.#keep(setup.version, entries, [delivery])
  }

  #keep(
    version: string | undefined,
    entries: ReadonlyMap<number, ConfigPushEntry>,
    deliveries: readonly Promise<void>[],
  ): ConfigPush {
    const push: ConfigPush = {
      id: `push-${++this.#count.last}`,
      version,
      startedAtMs: this.#clock.wallMs(),
      connections: entries,
      done: Promise.all(deliveries).then(() => undefined),
    }
    this.#pushes.push(push)
    if (this.#pushes.length > MAX_KEPT) this.#pushes.shift()
    return push
  }

  async #deliver(
    live: LiveConnection,
    setup: AgentConfig,
    entries: Map<number, ConfigPushEntry>,
  ): Promise<void> {
    if (canBeTold(live.connection)) {
      await this.#tell(live, setup, entries)
      return
    }
    live.isOutdated = this.#isReplaceable
    note(entries, live, this.#isReplaceable ? 'replacing' : 'unsupported', 0)
  }

  async #tell(
    live: LiveConnection,
    { config, version }: AgentConfig,
    entries: Map<number, ConfigPushEntry>,
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      note(entries, live, 'sent', attempt)
      try {
        await live.connection.configure(config, version, ACK_TIMEOUT_MS)
        note(entries, live, 'acknowledged', attempt)
        return
      } catch (thrown) {
        const error = WeirError.from(thrown)
        const mayRetry = error.code === 'TIMEOUT' && attempt < MAX_ATTEMPTS && live.stage !== 'gone'
        if (!mayRetry || (await this.#pause(live)) === 'gone') {
          note(entries, live, error.code === 'PERMISSION_DENIED' ? 'refused' : 'failed', attempt, error)
          return
        }
      }
    }
  }

  #pause(live: LiveConnection): Promise<'over' | 'gone'> {
    return new Promise((resolve) => {
      const end = (how: 'over' | 'gone'): void => {
        timer.cancel()
        this.#pauses.delete(pause)
        resolve(how)
      }
      const timer = this.#clock.setTimer(RETRY_MS, () => end('over'))
      const pause: Pause = { live, end }
      this.#pauses.add(pause)
    })
  }
}

/** At run time; while a connection is made every agent is told. */
export function canBeTold({ capabilities, transport }: Connection): boolean {
  return capabilities.features.configPush && transport !== 'v1'
}

function note(
  entries: Map<number, ConfigPushEntry>,
  { id }: LiveConnection,
  state: ConfigPushState,
  attempts: number,
  error?: WeirError,
): void {
  entries.set(id, { connectionId: id, state, attempts, code: error?.code, error: error?.message })
}
