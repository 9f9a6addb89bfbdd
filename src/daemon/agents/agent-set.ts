import { WeirError } from '../../core/errors.ts'
import type { ManagedPool } from '../../pool/managed-pool.ts'
import type { PoolSurroundings } from '../../pool/pool-options.ts'
import { Registry } from '../../pool/registry.ts'
import type { ChainAgent } from '../../proxy/agent-policy.ts'
import type { AgentConfig } from '../config/config.ts'
import { configStanding } from './config-standing.ts'
import { configVersion } from './config-version.ts'
import { newPool } from './new-pool.ts'
import { connectionsOf, policyOf, poolIdentity, poolSettingsOf, tuningOf } from './settings.ts'

/** One configured agent with what serves it. */
export interface AgentEntry {
  readonly config: AgentConfig
  readonly pool: ManagedPool
  readonly isDrained: boolean
}

/** A change that is prepared: the pools are there, nothing else knows them yet. */
export interface PreparedAgents {
  readonly entries: ReadonlyMap<string, AgentEntry>
  readonly chainAgent: (name: string) => ChainAgent
  /** Puts the change in force. Pools that are replaced or removed leave once `isUnused` says so. */
  commit(isUnused: () => boolean): void
  /** Forgets the change. */
  abandon(): void
}

/** How long a change waits for new pools to have a connection, milliseconds: a down agent must not hold it up. */
const READY_WITHIN_MS = 3000
/** How often a pool that is to leave is looked at, milliseconds. */
const LOOK_EVERY_MS = 100

/** The agents of the configuration in force and their pools. */
export class AgentSet {
  readonly registry: Registry
  /** How long a pool that leaves may take. Changed by a reload. */
  drainTimeoutMs: number
  readonly #around: PoolSurroundings
  #entries: ReadonlyMap<string, AgentEntry> = new Map()
  /** Pools that were replaced or removed and still serve requests that began on them. */
  readonly #leaving = new Set<ManagedPool>()

  constructor(around: PoolSurroundings, drainTimeoutMs: number, onError: (error: unknown) => void) {
    this.registry = new Registry(around.clock, onError)
    this.#around = { ...around, pushCount: { last: 0 } }
    this.drainTimeoutMs = drainTimeoutMs
  }

  get entries(): ReadonlyMap<string, AgentEntry> {
    return this.#entries
  }

  /** @throws WeirError NOT_FOUND */
  entry(name: string): AgentEntry {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new WeirError('NOT_FOUND', `no agent is named "${name}"`, { sent: false })
    return entry
  }

  /**
   * Makes the pools that a configuration needs. Agents whose connections need not change keep their pool. With
   * `isPatient` it waits, within bounds, until dialed new pools have a connection, so that switching to them
   * leaves no gap.
   */
  async prepare(agents: readonly AgentConfig[], isPatient: boolean): Promise<PreparedAgents> {
    const entries = new Map<string, AgentEntry>()
    const fresh: AgentEntry[] = []
    for (const config of agents) {
      const old = this.#entries.get(config.name)
      if (old !== undefined && (old.isDrained || poolIdentity(old.config) === poolIdentity(config))) {
        entries.set(config.name, { ...old, config })
        continue
      }
      const entry = { config, pool: newPool(config, this.#around, old?.pool), isDrained: false }
      entries.set(config.name, entry)
      fresh.push(entry)
    }
    if (isPatient) {
      const dialed = fresh.filter(({ config }) => config.origin.kind === 'dialed')
      for (const { pool } of dialed) pool.start()
      if (dialed.length > 0)
        await this.#within(
          READY_WITHIN_MS,
          dialed.map(({ pool }) => pool.whenReady),
        )
    }
    return {
      entries,
      chainAgent: (name) => {
        const { config, pool } = entries.get(name)!
        return { policy: policyOf(config), pool }
      },
      commit: (isUnused) => this.#commit(entries, isUnused),
      abandon: () => {
        for (const { pool } of fresh) void pool.drain(this.#around.clock.now())
      },
    }
  }

  /** Ends every pool, all at once, under one deadline (clock milliseconds). */
  async close(deadlineAt: number): Promise<void> {
    await Promise.all([
      this.registry.drain(deadlineAt),
      ...[...this.#leaving].map((pool) => pool.drain(deadlineAt)),
    ])
  }

  /** Takes an agent out of service. Its pool refuses; what is in flight ends. @throws WeirError NOT_FOUND */
  drain(name: string): void {
    const entry = this.entry(name)
    if (entry.isDrained) return
    this.#set({ ...entry, isDrained: true })
    void entry.pool.drain(this.#deadline())
  }

  /**
   * Makes a drained agent a new pool and returns true; false when it is in service already.
   * @throws WeirError NOT_FOUND
   */
  undrain(name: string): boolean {
    const entry = this.entry(name)
    if (!entry.isDrained) return false
    const pool = newPool(entry.config, this.#around, entry.pool)
    this.#set({ ...entry, pool, isDrained: false })
    this.#swap(name, pool, () => true)
    return true
  }

  chainAgent(name: string): ChainAgent {
    const { config, pool } = this.entry(name)
    return { policy: policyOf(config), pool }
  }

  /** Resolves when every agent has a connection, after `timeoutMs`, or when `ending` is aborted. */
  async whenReady(timeoutMs: number, ending?: AbortSignal): Promise<void> {
    const ready = Array.from(this.registry, (pool) => pool.whenReady)
    await this.#within(timeoutMs, ready, ending)
  }

  #commit(entries: ReadonlyMap<string, AgentEntry>, isUnused: () => boolean): void {
    const before = this.#entries
    this.#entries = entries
    for (const [name, { config, pool, isDrained }] of entries) {
      const old = before.get(name)
      if (old?.pool !== pool) this.#swap(name, pool, isUnused)
      else if (!isDrained) this.#adjust(pool, old.config, config)
    }
    for (const name of before.keys()) if (!entries.has(name)) this.#swap(name, undefined, isUnused)
  }

  /** Tells a pool that stays what changed about its agent. */
  #adjust(pool: ManagedPool, old: AgentConfig, config: AgentConfig): void {
    if (tuningOf(old) !== tuningOf(config)) pool.retune(poolSettingsOf(config))
    if (connectionsOf(old) !== connectionsOf(config)) pool.resize(connectionsOf(config))
    const version = configVersion(config.config)
    if (configVersion(old.config) === version) return
    void pool.pushConfig(config.config, version).done.then(() => {
      const standing = configStanding({ pool })
      if (standing.state !== 'refused') return
      const message = `agent ${config.name} goes on with its old configuration: ${standing.words}`
      this.#around.probe.notice?.('warn', message, { agent: config.name, version })
    })
  }

  #swap(name: string, pool: ManagedPool | undefined, isUnused: () => boolean): void {
    const old = this.registry.swap(name, pool)
    if (old === undefined) return
    const deadline = this.#deadline()
    this.#leaving.add(old)
    const look = (): void => {
      const { clock } = this.#around
      if (!isUnused() && clock.now() < deadline) {
        clock.setTimer(LOOK_EVERY_MS, look)
        return
      }
      void old.drain(Math.max(deadline, clock.now())).then(() => this.#leaving.delete(old))
    }
    look()
  }

  #set(entry: AgentEntry): void {
    this.#entries = new Map(this.#entries).set(entry.config.name, entry)
  }

  #deadline(): number {
    return this.#around.clock.now() + this.drainTimeoutMs
  }

  async #within(
    timeoutMs: number,
    promises: readonly Promise<unknown>[],
    ending?: AbortSignal,
  ): Promise<void> {
    if (ending?.aborted === true) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel()
        ending?.removeEventListener('abort', done)
        resolve()
      }
      const timer = this.#around.clock.setTimer(timeoutMs, done)
      ending?.addEventListener('abort', done)
      void Promise.all(promises).then(done)
    })
  }
}
