import type { WeirError } from '../core/errors.ts'
import { EjectionGroup } from '../policy/health/ejection-group.ts'
import { Health } from '../policy/health/health.ts'
import { type HealthSettings, healthSettings } from '../policy/health/health-options.ts'
import type { PickContext, Picker, Strategy } from '../policy/picker.ts'
import { strategyNamed } from '../policy/strategies/strategy-named.ts'
import type { Connection, Dialer } from '../transport/connection.ts'
import type { AgentPool } from './agent-pool.ts'
import { BreakerGate } from './breaker-gate.ts'
import { Keeper } from './keeper.ts'
import type { LeaseHints, LeaseOutcome, LeaseWaiter, Refusal } from './lease.ts'
import { type ConnectionOwner, LiveConnection, type Origin } from './live-connection.ts'
import { type PoolSettings, type PoolSurroundings, RETIRE_JITTER } from './pool-options.ts'
import { refusalError } from './refusal-error.ts'
import type { Slot, SlotHost } from './slot.ts'
import { WaitingRoom, type WaitingRoomHost } from './waiting-room.ts'

/** Where the next connection is dialled; asked anew for each attempt. */
export type NextDialer = () => Dialer | Promise<Dialer>

/**
 * The connections of one agent that carries many events at once. Choosing and leasing is one synchronous turn;
 * everything else reacts to facts that the connections tell.
 */
export class ConnectionPool implements AgentPool {
  readonly agent: string
  readonly #around: PoolSurroundings
  readonly #settings: PoolSettings
  readonly #healthSettings: HealthSettings
  readonly #strategy: Strategy
  readonly #group: EjectionGroup
  readonly #breaker: BreakerGate
  readonly #room: WaitingRoom
  readonly #keeper: Keeper | undefined
  readonly #owner: ConnectionOwner
  readonly #context: { -readonly [K in keyof PickContext]: PickContext[K] } = { hashKey: undefined, avoid: 0 }
  /** Every connection that is not gone. */
  readonly #byId = new Map<number, LiveConnection>()
  /** The ready ones, in the order the picker was built with. */
  #ready: readonly LiveConnection[] = []
  #picker: Picker
  #drained: Promise<void> | undefined

  /** Without `nextDialer` the agent dials in: connections are handed in with {@link adopt}. */
  constructor(agent: string, settings: PoolSettings, around: PoolSurroundings, nextDialer?: NextDialer) {
    const now = around.clock.now()
    this.agent = agent
    this.#around = around
    this.#settings = settings
    this.#healthSettings = healthSettings(settings.health)
    this.#strategy = strategyNamed(settings.strategy)
    this.#group = new EjectionGroup(settings.maxEjectedShare)
    this.#breaker = new BreakerGate(agent, settings.breaker, around.random, around.probe)
    this.#room = new WaitingRoom(this.#roomHost(), settings.maxWaiters)
    this.#owner = this.#connectionOwner(now)
    this.#picker = this.#strategy.build([], around.random)
    if (nextDialer !== undefined) this.#keeper = new Keeper(this.#slotHost(nextDialer), settings.connections)
  }

  /** Starts dialling; without a dialer the pool waits for its agent. */
  start(): void {
    this.#keeper?.start()
  }

  lease(hints: LeaseHints): LiveConnection | Refusal {
    if (hints.pinnedTo === 0 && this.#room.hasFreeCallers) return this.#refusal() ?? 'full'
    return this.#lease(hints)
  }

  wait(waiter: LeaseWaiter): WeirError | undefined {
    if (this.#drained !== undefined) return refusalError(this.agent, 'draining')
    return this.#room.add(waiter)
  }

  withdraw(waiter: LeaseWaiter): void {
    this.#room.withdraw(waiter)
  }

  find(connectionId: number): LiveConnection | undefined {
    return this.#byId.get(connectionId)
  }

  drain(deadlineAt: number): Promise<void> {
    if (this.#drained === undefined) {
      let finish!: () => void
      this.#drained = new Promise((resolve) => {
        finish = resolve
      })
      void this.#drain(deadlineAt).then(finish, finish)
    }
    return this.#drained
  }

  async #drain(deadlineAt: number): Promise<void> {
    this.#publish()
    this.#keeper?.stop()
    const leaving = [...this.#byId.values()]
    this.#room.refuseAll(leaving, refusalError(this.agent, 'draining'))
    await Promise.all(leaving.map((connection) => connection.retire(deadlineAt, 0)))
  }

  #lease(hints: LeaseHints): LiveConnection | Refusal {
    const now = this.#around.clock.now()
    this.#owner.now = now
    if (hints.pinnedTo !== 0) return this.#leasePinned(hints, now)
    if (!this.#breaker.wouldAdmit(now)) return 'breaker-open'
    const context = this.#context
    context.hashKey = hints.sessionKey
    context.avoid = hints.avoid
    const index = this.#picker.pick(context)
    if (index < 0) return this.#refusal() ?? 'full'
    return this.#breaker.admit(now) ? this.#ready[index]!.take() : 'breaker-open'
  }

  #leasePinned(hints: LeaseHints, now: number): LiveConnection | Refusal {
    const connection = this.#byId.get(hints.pinnedTo)
    if (connection === undefined) return 'affinity-lost'
    if (!this.#breaker.wouldAdmit(now)) return 'breaker-open'
    if (connection.isPaused) return 'paused'
    if (hints.isBody !== false && connection.pausesBody(hints.correlationId)) return 'paused'
    if (!connection.hasRoom) return 'full'
    return this.#breaker.admit(now) ? connection.take() : 'breaker-open'
  }

  /** Why nothing was picked; undefined when something could be picked after all. Not on the hot path. */
  #refusal(): Refusal | undefined {
    if (this.#drained !== undefined) return 'draining'
    let usable = 0
    let paused = 0
    for (const connection of this.#ready) {
      if (!connection.isUsable) continue
      if (connection.isAvailable) return undefined
      usable++
      if (connection.isPaused) paused++
    }
    if (usable === 0) return 'unavailable'
    return paused === usable ? 'paused' : 'full'
  }

  #admit(connection: Connection, origin: Origin): LiveConnection {
    const { random, clock, probe } = this.#around
    const health = new Health(this.#healthSettings, this.#group, random, clock.now())
    const live = new LiveConnection(this.#owner, connection, origin, health)
    this.#byId.set(live.id, live)
    connection.observe(live)
    this.#publish()
    probe.connectionOpened?.(this.agent, live.id, connection.transport, connection.peer)
    return live
  }

  /** Builds the picker anew: after every change of the set of ready connections. A draining pool has none. */
  #publish(): void {
    const all = this.#drained === undefined ? [...this.#byId.values()] : []
    this.#ready = all.filter((connection) => connection.stage === 'ready')
    this.#picker = this.#strategy.build(this.#ready, this.#around.random)
  }

  #retire(connection: LiveConnection): void {
    const { retireTimeoutMs, retireLingerMs } = this.#settings
    void connection.retire(this.#around.clock.now() + retireTimeoutMs, retireLingerMs)
    this.#publish()
    this.#room.release(connection)
  }

  #onDialed(slot: Slot, connection: Connection, dialer: Dialer): void {
    const { random, clock } = this.#around
    const settings = this.#settings
    const shortened = (limit: number): number => limit * (1 - RETIRE_JITTER * random())
    const live = this.#admit(connection, {
      slot,
      home: dialer.endpoint,
      epoch: 0,
      maxInFlight: settings.maxConcurrentPerConnection,
      slowStartMs: settings.slowStartMs,
      retireAt: clock.now() + shortened(settings.maxConnectionAgeMs),
      maxUses: shortened(settings.maxConnectionUses),
    })
    const replaced = this.#keeper!.filled(slot)
    if (replaced !== undefined)
      for (const old of this.#ready) if (old.origin.slot === replaced) this.#retire(old)
    this.#room.serve(live)
  }

  #onGone(connection: LiveConnection, reason: WeirError): void {
    this.#byId.delete(connection.id)
    this.#publish()
    this.#around.probe.connectionClosed?.(this.agent, connection.id, reason.message)
    if (connection.origin.slot !== undefined) this.#keeper?.lost(connection.origin.slot)
    this.#room.release(connection)
  }

  #onReleased(outcome: LeaseOutcome, elapsedMs: number): void {
    this.#breaker.settle(outcome, elapsedMs, this.#owner.now)
  }

  #boundTo(waiter: LeaseWaiter): LiveConnection | undefined {
    return waiter.pinnedTo === 0 ? undefined : this.#byId.get(waiter.pinnedTo)
  }

  #slotHost(nextDialer: NextDialer): SlotHost {
    const { clock, random, probe } = this.#around
    const { reconnect, dialTimeoutMs, stableAfterMs } = this.#settings
    return {
      clock,
      random,
      backoff: reconnect,
      dialTimeoutMs,
      stableAfterMs,
      nextDialer,
      onDialed: (slot, connection, dialer) => this.#onDialed(slot, connection, dialer),
      onDialFailed: (endpoint, error, retryInMs) => {
        probe.dialFailed?.(this.agent, endpoint, error.message, retryInMs)
      },
    }
  }

  #roomHost(): WaitingRoomHost {
    return {
      agent: this.agent,
      clock: this.#around.clock,
      boundTo: (waiter) => this.#boundTo(waiter),
      leaseQueued: (waiter) => this.#lease(waiter),
      errorOf: (refusal) => refusalError(this.agent, refusal),
      onQueued: () => undefined,
    }
  }

  #connectionOwner(now: number): ConnectionOwner {
    const room = this.#room
    return {
      agent: this.agent,
      clock: this.#around.clock,
      now,
      get waiting() {
        return room.size
      },
      onReleased: (_connection, outcome, latencyMs) => this.#onReleased(outcome, latencyMs),
      onRoom: (connection) => room.serve(connection),
      onGone: (connection, reason) => this.#onGone(connection, reason),
      onHealth: () => undefined,
      onMetrics: () => undefined,
      onLog: (message) => this.#around.probe.agentLog?.(this.agent, message.level, message.message),
      onConfigUpdate: () => undefined,
      onStrayReply: () => this.#around.probe.strayReply?.(this.agent),
    }
  }
}
