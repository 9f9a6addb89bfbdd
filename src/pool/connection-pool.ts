import { WeirError } from '../core/errors.ts'
import type { BypassReason } from '../core/probe.ts'
import { strategyNamed } from '../policy/strategies/strategy-named.ts'
import type { Connection, Dialer } from '../transport/connection.ts'
import { Admission } from './admission.ts'
import { Adoption, type AdoptionHost } from './adoption.ts'
import type { AgentMetrics } from './agent-metrics.ts'
import { AgentReports } from './agent-reports.ts'
import { AgentWishes } from './agent-wishes.ts'
import type { BreakerGate } from './breaker-gate.ts'
import { type ConfigPush, ConfigPusher } from './config-push.ts'
import { ConnectionOwner, type OwnerHost } from './connection-owner.ts'
import { isDueToRetire } from './departure.ts'
import { type Heritage, heritageOf } from './heritage.ts'
import { Keeper } from './keeper.ts'
import type { LeaseHints, LeaseWaiter, Refusal } from './lease.ts'
import { Leasing } from './leasing.ts'
import type { LiveConnection } from './live-connection.ts'
import type { AgentConfig, Incarnation, ManagedPool, Summon } from './managed-pool.ts'
import type { PoolCounters } from './pool-counters.ts'
import type { PoolSettings, PoolSurroundings } from './pool-options.ts'
import { connectionSnapshot, type PoolSnapshot, summed } from './pool-snapshot.ts'
import { refusalError } from './refusal-error.ts'
import { Roster } from './roster.ts'
import type { Slot, SlotHost } from './slot.ts'
import type { StickySessions } from './sticky-sessions.ts'
import { WaitingRoom, type WaitingRoomHost } from './waiting-room.ts'

/** The dialer of the next connection; asked anew for each attempt, with the configuration of that moment. */
export type NextDialer = (config: AgentConfig) => Dialer | Promise<Dialer>

export interface ConnectionPoolParts {
  readonly agent: string
  readonly settings: PoolSettings
  readonly around: PoolSurroundings
  /** Absent: the agent dials in, and connections are handed to `adopt`. */
  readonly nextDialer?: NextDialer | undefined
  readonly config?: AgentConfig | undefined
  /** The pool this one takes over from: breaker, sessions and counters go on, so a reload forgets nothing. */
  readonly successorOf?: ConnectionPool | undefined
  /** Told of every connection as it becomes ready. */
  readonly onReady?: ((live: LiveConnection) => void) | undefined
}

/** Longest time between two visits of a pool that has connections, milliseconds: for sweeps and the watchdog. */
const VISIT_MS = 10_000
const NO_CONFIG: AgentConfig = { config: undefined, version: undefined }

/**
 * The connections of one agent that carries many events at once. Choosing and leasing is one synchronous turn;
 * everything else reacts to facts that the connections tell.
 */
export class ConnectionPool implements ManagedPool {
  readonly agent: string
  readonly metrics: AgentMetrics
  readonly whenReady: Promise<void>
  readonly #around: PoolSurroundings
  #settings: PoolSettings
  #heritage: Heritage
  readonly #counters: PoolCounters
  readonly #room: WaitingRoom
  readonly #keeper: Keeper | undefined
  readonly #owner: ConnectionOwner
  readonly #admission: Admission
  /** Of a pool whose agent dials in; any other has a keeper. */
  readonly #adoption: Adoption | undefined
  readonly #pusher: ConfigPusher
  readonly #roster: Roster
  #leasing: Leasing
  /** The configuration each slot's dial under way was begun with. */
  readonly #dialledWith: WeakMap<Slot, AgentConfig> | undefined
  #config: AgentConfig
  #target: number
  #visitAt = Number.POSITIVE_INFINITY
  #summon: Summon | undefined
  #drained: Promise<void> | undefined
  #becomeReady!: () => void
  readonly #onReady: ((live: LiveConnection) => void) | undefined
  #isStarted = false

  constructor(parts: ConnectionPoolParts) {
    const { agent, settings, around, nextDialer, successorOf: old } = parts
    const { random } = around
    this.agent = agent
    this.#around = around
    this.#onReady = parts.onReady
    this.#settings = settings
    this.#target = settings.connections
    this.#config = parts.config ?? NO_CONFIG
    this.#roster = new Roster(strategyNamed(settings.strategy), random, settings.maxBurst)
    this.#heritage = heritageOf(agent, settings, around, old === undefined ? undefined : old.#heritage)
    this.metrics = this.#heritage.metrics
    this.#counters = this.#heritage.counters
    this.#room = new WaitingRoom(this.#roomHost(), settings.maxWaiters)
    this.#owner = this.#newOwner()
    this.#admission = new Admission(settings, around, this.#owner, this.#roster)
    this.#leasing = this.#newLeasing()
    this.#pusher = new ConfigPusher(agent, around.clock, nextDialer !== undefined, around.pushCount)
    if (nextDialer === undefined) this.#adoption = new Adoption(this.#adoptionHost())
    else {
      this.#dialledWith = new WeakMap()
      this.#keeper = new Keeper(this.#slotHost(nextDialer), settings.connections)
    }
    this.whenReady = new Promise((resolve) => {
      this.#becomeReady = resolve
    })
  }

  /** Undefined with `ring-hash`, whose sessions follow from their keys, and where none are to be kept. */
  get sessions(): StickySessions | undefined {
    return this.#heritage.sessions
  }

  get maxBodyBytes(): number {
    return this.#roster.maxBodyBytes
  }

  get visitAt(): number {
    const isUrgent = this.#room.size > 0 || this.#breaker.isOpen || this.sessions?.isDirty === true
    return isUrgent ? 0 : this.#visitAt
  }

  get configPushes(): readonly ConfigPush[] {
    return this.#pusher.pushes
  }

  watch(summon: Summon): void {
    this.#summon = summon
    if (this.sessions !== undefined) this.sessions.onDirty = summon
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    void this.sessions?.load()
    this.#keeper?.start()
  }

  lease(hints: LeaseHints, now?: number): LiveConnection | Refusal {
    const mustQueue = hints.pinnedTo === 0 && this.#room.hasFreeCallers
    const leased = mustQueue ? (this.#leasing.refusal() ?? 'full') : this.#leasing.lease(hints, now)
    if (leased === 'paused') this.#counters.flowRejections++
    return leased
  }

  /** Why a caller with no wishes would not get a connection now; undefined: it would. */
  refusal(): Refusal | undefined {
    return this.#leasing.refusal()
  }

  countBypass(reason: BypassReason): void {
    this.#counters.bypasses[reason]++
  }

  wait(waiter: LeaseWaiter): WeirError | undefined {
    if (this.#drained !== undefined && this.#roster.find(waiter.pinnedTo) === undefined)
      return refusalError(this.agent, 'draining')
    const refused = this.#room.add(waiter)
    if (refused === undefined && this.#room.size === 1) this.#summon?.(this.agent)
    if (refused !== undefined) this.#counters.overflows++
    else if (this.#leasing.changedSince(waiter)) queueMicrotask(() => this.#serveAll())
    return refused
  }

  withdraw(waiter: LeaseWaiter): void {
    this.#room.withdraw(waiter)
  }

  /** For those who queue callers themselves. */
  get counters(): PoolCounters {
    return this.#counters
  }

  find(connectionId: number): LiveConnection | undefined {
    return this.#roster.find(connectionId)
  }

  canAdopt(incarnation?: Incarnation): WeirError | undefined {
    if (this.#drained !== undefined) return refusalError(this.agent, 'draining')
    if (this.#adoption !== undefined) return this.#adoption.refusal(incarnation)
    const message = `agent ${this.agent}: we dial this agent, it must not dial in`
    return new WeirError('CONFLICT', message, { sent: false })
  }

  adopt(connection: Connection, incarnation?: Incarnation): WeirError | undefined {
    const refused = this.canAdopt(incarnation)
    if (refused !== undefined) return refused
    this.#adoption!.adopt(connection, incarnation)
    return undefined
  }

  resize(connections: number): void {
    this.#target = connections
    const { ready } = this.#roster
    const dropped = this.#keeper?.resize(connections)
    /* Without a keeper the agent made them: the youngest are the ones too many. */
    const leaving =
      dropped === undefined
        ? ready.slice(connections)
        : ready.filter(({ origin }) => origin.slot !== undefined && dropped.includes(origin.slot))
    for (const live of leaving) this.#retire(live)
  }

  retune(settings: PoolSettings): void {
    if (this.#keeper !== undefined) {
      const message = `agent ${this.agent}: we dial this agent, other settings take a new pool`
      throw new WeirError('CONFLICT', message, { sent: false })
    }
    const before = this.#heritage
    this.#settings = settings
    this.#heritage = heritageOf(this.agent, settings, this.#around, before)
    this.#owner.breaker = this.#breaker
    if (this.#summon !== undefined) this.watch(this.#summon)
    if (before.sessions !== this.sessions) void before.sessions?.flush()
    if (before.breaker !== this.#breaker && !before.breaker.isClosed)
      this.#around.probe.breakerChanged?.(this.agent, 'closed')
    if (this.#isStarted) void this.sessions?.load()
    this.#leasing = this.#newLeasing()
    this.#room.capacity = settings.maxWaiters
    this.#admission.retune(settings)
    this.#roster.use(strategyNamed(settings.strategy), settings.maxBurst)
    this.#visitBy(0)
    this.#serveAll()
  }

  pushConfig(config: unknown, version?: string): ConfigPush {
    this.#config = { config, version }
    const push = this.#pusher.push(this.#config, this.#roster.ready)
    this.#visitBy(0)
    return push
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

  visit(now: number): void {
    this.#owner.now = now
    const isOpen = this.#breaker.state(now) === 'open'
    let nextAt = now + VISIT_MS
    let due: LiveConnection | undefined
    let retiring = 0
    for (const live of this.#roster.all) {
      nextAt = Math.min(nextAt, live.visit(now))
      if (isOpen) live.knock(now)
      if (live.stage === 'retiring') retiring++
      else if (due === undefined && live.origin.slot !== undefined && isDueToRetire(live, now)) due = live
    }
    if (due !== undefined && (retiring === 0 || due.isEnding)) this.#keeper?.replace(due.origin.slot!)
    this.metrics.expire(now)
    if (this.sessions?.visit(now) === true || due !== undefined) nextAt = now
    this.#visitAt = nextAt
    /* Trials fall due and reports run out by time alone. */
    this.#serveAll()
  }

  snapshot(): PoolSnapshot {
    const now = this.#around.clock.now()
    this.#owner.now = now
    const { last } = this.#owner.reports
    const connections = Array.from(this.#roster.all, (live) => connectionSnapshot(live, now))
    return {
      agent: this.agent,
      state: this.#drained === undefined ? 'open' : 'draining',
      target: this.#target,
      ...summed(connections),
      waiting: this.#room.size,
      breaker: this.#breaker.state(now),
      breakerRetryMs: this.#breaker.retryAfterMs(now),
      ...this.#counters.snapshot(now),
      sessions: this.sessions?.table.size ?? 0,
      reported: last && { report: last.report, ageMs: now - last.heardAt },
      connections,
    }
  }

  async #drain(deadlineAt: number): Promise<void> {
    this.#roster.close()
    this.#becomeReady()
    this.#keeper?.stop()
    const leaving = [...this.#roster.all]
    this.#room.refuseFree(refusalError(this.agent, 'draining'))
    await Promise.all(leaving.map((connection) => connection.retire(deadlineAt, 0)))
    await this.sessions?.flush()
  }

  get #breaker(): BreakerGate {
    return this.#heritage.breaker
  }

  #newLeasing(): Leasing {
    return new Leasing(this.#owner, this.#roster, this.#breaker, this.sessions, () =>
      this.#keeper?.hasten(this.#owner.now),
    )
  }

  #visitBy(at: number): void {
    if (at >= this.#visitAt) return
    this.#visitAt = at
    this.#summon?.(this.agent)
  }

  #serveAll(): void {
    if (this.#room.size > 0) for (const live of this.#roster.all) this.#room.serve(live)
  }

  #noteArrival(live: LiveConnection): void {
    this.#counters.connected++
    this.#visitBy(live.visit(this.#owner.now))
    /* Legacy framing has no greeting: such a connection proves nothing. */
    if (live.connection.transport !== 'v1') this.#breaker.signOfLife(this.#owner.now)
  }

  #noteReady(live: LiveConnection): void {
    this.#becomeReady()
    this.#onReady?.(live)
    this.#owner.now = this.#around.clock.now()
    this.#room.serve(live)
  }

  #retire(connection: LiveConnection): void {
    const { retireTimeoutMs, retireLingerMs } = this.#settings
    this.#counters.retired++
    void connection.retire(this.#around.clock.now() + retireTimeoutMs, retireLingerMs)
    this.#roster.publish()
    this.#room.release(connection)
  }

  #onDialed(slot: Slot, connection: Connection): void {
    const live = this.#admission.dialed(connection, slot)
    this.#noteArrival(live)
    const replaced = this.#keeper!.filled(slot)
    for (const old of this.#roster.ready)
      if (replaced !== undefined && old.origin.slot === replaced) this.#retire(old)
    if (this.#dialledWith!.get(slot) !== this.#config) this.#pusher.push(this.#config, [live])
    this.#noteReady(live)
  }

  #onGone(connection: LiveConnection, reason: WeirError, isLoss: boolean): void {
    if (isLoss) this.#counters.lost++
    this.#roster.remove(connection)
    this.#pusher.forget(connection)
    this.#around.probe.connectionClosed?.(this.agent, connection.id, reason.message)
    if (connection.origin.slot !== undefined) this.#keeper?.lost(connection.origin.slot)
    this.#room.release(connection)
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
      nextDialer: (slot) => {
        this.#dialledWith!.set(slot, this.#config)
        return nextDialer(this.#config)
      },
      onDialed: (slot, connection) => this.#onDialed(slot, connection),
      onDialFailed: (endpoint, error, retryInMs) => {
        this.#counters.dialFailures++
        probe.dialFailed?.(this.agent, endpoint, error.message, retryInMs)
      },
    }
  }

  #adoptionHost(): AdoptionHost {
    return {
      agent: this.agent,
      probe: this.#around.probe,
      roster: this.#roster,
      admission: this.#admission,
      pusher: this.#pusher,
      target: () => this.#target,
      config: () => this.#config,
      onArrived: (live) => this.#noteArrival(live),
      onReady: (live) => this.#noteReady(live),
      retire: (live) => this.#retire(live),
    }
  }

  #roomHost(): WaitingRoomHost {
    return {
      agent: this.agent,
      clock: this.#around.clock,
      boundTo: ({ pinnedTo }) => (pinnedTo === 0 ? undefined : this.#roster.find(pinnedTo)),
      hasRoom: () => this.#leasing.refusal() === undefined,
      leaseQueued: (waiter) => this.#leasing.lease(waiter),
      errorOf: (refusal) => refusalError(this.agent, refusal),
      onQueued: (waiter, queueMs) => {
        if (waiter.isStandIn !== true) this.#counters.countQueued(queueMs)
      },
    }
  }

  #newOwner(): ConnectionOwner {
    const { agent, metrics } = this
    const { clock, probe, onReloadRequested } = this.#around
    const wishes = new AgentWishes(clock, probe, onReloadRequested, (live) => {
      if (this.#config.config !== undefined) this.#pusher.resend(this.#config, live)
    })
    const host: OwnerHost = {
      onGone: (live, reason, isLoss) => this.#onGone(live, reason, isLoss),
      onUrgent: () => this.#visitBy(0),
    }
    return new ConnectionOwner(host, {
      agent,
      clock,
      probe,
      room: this.#room,
      roster: this.#roster,
      counters: this.#counters,
      breaker: this.#breaker,
      reports: new AgentReports(clock, probe, metrics, wishes),
    })
  }
}
