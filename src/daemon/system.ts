import { listenAdmin } from '../admin/server.ts'
import type { AppliedView, ConfigStateView, LoadView } from '../admin/views.ts'
import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'
import type { Random } from '../core/random.ts'
import { TimerWheel } from '../core/timer-wheel.ts'
import { AgentDispatcher } from '../proxy/agent-dispatcher.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { ReverseAdmission } from './agents/admission.ts'
import type { AgentNotes } from './agents/agent-notes.ts'
import type { AgentSet } from './agents/agent-set.ts'
import { formatAddress } from './config/addresses.ts'
import type { Config } from './config/config.ts'
import { FrontEnds } from './front-ends.ts'
import { Listeners } from './listeners.ts'
import type { MeasuredLoad } from './measured-load.ts'
import { systemOperations } from './operations/operations.ts'
import { openReverse } from './reverse.ts'
import { RouteBook } from './routes/route-book.ts'
import { limitPlanOf, type Storage } from './storage.ts'
import { makeParts, type SystemParts } from './system-parts.ts'

export interface SystemOptions {
  readonly log: Log
  /** Wait for all agents before taking requests, at most this long, milliseconds. 0: do not wait. */
  readonly waitForAgentsMs: number
  /** An agent asked to have the configuration read anew. */
  readonly onReloadRequested: () => void
  /** An operator asked for it and waits for the outcome. @throws WeirError INVALID_ARGUMENT, CONFLICT */
  readonly reload: () => Promise<AppliedView>
  /** Aborted: stop waiting for agents, the process is to end. */
  readonly ending?: AbortSignal
  readonly clock?: Clock
  readonly random?: Random
}

/** Everything that runs for one configuration: made by `start`, changed by `apply`, ended by `drain`. */
export class WeirSystem {
  readonly clock: Clock
  readonly agents: AgentSet
  readonly storage: Storage
  readonly dispatcher: AgentDispatcher
  readonly listeners = new Listeners()
  readonly metrics: Metrics
  readonly notes: AgentNotes
  readonly #frontEnds: FrontEnds
  readonly #wheel: TimerWheel
  readonly #load: MeasuredLoad
  #config: Config
  #loadedAt: number
  #refused: readonly string[] = []
  #pendingRestart: readonly string[] = []
  #state: 'starting' | 'serving' | 'draining' = 'starting'
  #book = new RouteBook([], () => {
    throw new WeirError('INTERNAL', 'an empty book of routes has no agents')
  })
  /** Routes of before a reload, on which requests may still be open. */
  readonly #oldBooks = new Set<RouteBook>()
  #drained: Promise<void> | undefined

  private constructor(config: Config, parts: SystemParts) {
    this.clock = parts.clock
    this.#config = config
    this.#loadedAt = this.clock.wallMs()
    this.storage = parts.storage
    this.metrics = parts.metrics
    this.agents = parts.agents
    this.notes = parts.notes
    this.#wheel = new TimerWheel(this.clock)
    this.#load = parts.load
    const load = parts.load
    this.dispatcher = new AgentDispatcher(
      {
        clock: this.clock,
        wheel: this.#wheel,
        probe: parts.probe,
        limits: parts.storage.limiter,
        get overload() {
          return load.gate
        },
      },
      { maxOpenRequests: config.maxOpenRequests },
    )
    this.#frontEnds = new FrontEnds({
      config,
      dispatcher: this.dispatcher,
      clock: this.clock,
      probe: parts.probe,
      book: () => this.#book,
    })
  }

  /**
   * Starts what the configuration describes. Agents need not be there: they are dialed until they are.
   * @throws WeirError one sentence that names the option; whatever was opened is closed again
   */
  static async start(config: Config, options: SystemOptions): Promise<WeirSystem> {
    const parts = await makeParts(config, options)
    const system = new WeirSystem(config, parts)
    try {
      await system.#open(options, parts.probe)
    } catch (error) {
      await system.drain(0)
      throw error
    }
    return system
  }

  get state(): 'starting' | 'serving' | 'draining' {
    return this.#state
  }

  get config(): Config {
    return this.#config
  }

  get configState(): ConfigStateView {
    return {
      file: this.#config.file,
      loadedAt: new Date(this.#loadedAt).toISOString(),
      refused: this.#refused,
      pendingRestart: this.#pendingRestart,
    }
  }

  /**
   * Puts a new configuration in force, all of it or, on a throw, nothing. Requests under way keep their route.
   * `pendingRestart` names what of it waits for the next start.
   */
  async apply(config: Config, pendingRestart: readonly string[]): Promise<void> {
    const prepared = await this.agents.prepare(config.agents, true)
    let book: RouteBook
    try {
      book = new RouteBook(config.routes, prepared.chainAgent)
      this.storage.limiter.configure(limitPlanOf(config.agents))
    } catch (error) {
      prepared.abandon()
      throw error
    }
    this.storage.configure(config.storage)
    if (this.#load.configure(config.overload, config.storage)) this.dispatcher.rebuildPipelines()
    this.agents.drainTimeoutMs = config.drainTimeoutMs
    this.#useBook(book)
    prepared.commit(() => this.#areOldBooksUnused())
    const gone = this.#config.agents.filter(({ name }) => !prepared.entries.has(name))
    this.#config = config
    this.#loadedAt = this.clock.wallMs()
    this.#refused = []
    this.#pendingRestart = pendingRestart
    this.metrics.configReloaded(true, this.#loadedAt)
    for (const { name } of gone) {
      this.notes.forget(name)
      await this.metrics.forget(name)
    }
  }

  /** What the measured load allows; undefined while it limits nothing. */
  get load(): LoadView | undefined {
    return this.#load.view
  }

  /** Notes that a newer configuration was not taken. */
  refuse(problems: readonly string[]): void {
    this.#refused = problems
    this.metrics.configReloaded(false, this.clock.wallMs())
  }

  /** Puts a drained agent back. @throws WeirError NOT_FOUND */
  undrain(agent: string): void {
    if (!this.agents.undrain(agent)) return
    this.#useBook(new RouteBook(this.#config.routes, (name) => this.agents.chainAgent(name)))
  }

  /**
   * Ends the system: not ready at once, then nothing new is taken, what is in flight ends within `timeoutMs`, what
   * is durable is written. Twice: the same promise.
   */
  drain(timeoutMs: number): Promise<void> {
    this.#drained ??= this.#drain(timeoutMs)
    return this.#drained
  }

  async #open(options: SystemOptions, probe: Probe): Promise<void> {
    const config = this.#config
    const prepared = await this.agents.prepare(config.agents, false)
    this.#useBook(new RouteBook(config.routes, prepared.chainAgent))
    this.storage.limiter.configure(limitPlanOf(config.agents))
    const { admin } = config.listen
    if (admin !== undefined) {
      const operations = systemOperations(this, options.log, this.metrics, options.reload)
      await this.listeners.open(
        'listen.admin',
        formatAddress(admin),
        () => listenAdmin(admin, operations),
        (server) => ({
          address: formatAddress(admin.kind === 'unix' ? admin : { ...admin, port: server.port }),
          close: () => server.close(),
        }),
      )
    }
    await openReverse(config.listen, this.listeners, new ReverseAdmission(this.agents, probe), this.clock)
    prepared.commit(() => true)
    if (options.waitForAgentsMs > 0) await this.agents.whenReady(options.waitForAgentsMs, options.ending)
    /* Told to end meanwhile: who was not served yet is not served at all. */
    if (options.ending?.aborted === true) return
    await this.#frontEnds.open(this.listeners)
    this.#state = 'serving'
    this.metrics.configReloaded(true, this.#loadedAt)
  }

  #useBook(book: RouteBook): void {
    this.#oldBooks.add(this.#book)
    this.#book = book
    this.#frontEnds.setRoutes(book)
  }

  /** Every request that began on earlier routes has ended, so that their pools can go. */
  #areOldBooksUnused(): boolean {
    for (const book of this.#oldBooks) if (book.isUnused) this.#oldBooks.delete(book)
    return this.#oldBooks.size === 0
  }

  async #drain(timeoutMs: number): Promise<void> {
    const wasServing = this.#state === 'serving'
    this.#state = 'draining'
    const delayMs = wasServing && timeoutMs > 0 ? this.#config.drainDelayMs : 0
    if (delayMs > 0) await new Promise<void>((resolve) => void this.clock.setTimer(delayMs, resolve))
    const deadline = this.clock.now() + timeoutMs
    await this.#frontEnds.drain(timeoutMs)
    await this.agents.close(Math.max(deadline, this.clock.now()))
    await this.listeners.close()
    this.#wheel.close()
    this.#load.stop()
    await this.storage.close()
  }
}
