import { createPool, type Pool } from 'generic-pool'
import type { Clock } from '../core/clock.ts'
import type { WeirError } from '../core/errors.ts'
import type { BypassReason } from '../core/probe.ts'
import type { Connection } from '../transport/connection.ts'
import type { AgentMetrics } from './agent-metrics.ts'
import type { ConfigPush } from './config-push.ts'
import { ConnectionPool, type ConnectionPoolParts } from './connection-pool.ts'
import type { LeaseHints, LeaseOutcome, LeaseWaiter, Refusal } from './lease.ts'
import type { LiveConnection } from './live-connection.ts'
import type { Incarnation, ManagedPool, Summon } from './managed-pool.ts'
import type { PoolSettings } from './pool-options.ts'
import type { PoolSnapshot } from './pool-snapshot.ts'
import type { PooledConnection } from './pooled-connection.ts'
import { refusalError } from './refusal-error.ts'
import { unlink, WaiterList } from './waiter-list.ts'

/** Above any pool size; how many connections there are is the keeper's business. */
const MAX_CONNECTIONS = 10_000

/**
 * The connections of one agent that takes one event at a time (legacy framing). A connection is lent to one
 * caller until it gives it back; lending is generic-pool's, and this is the only file that knows it.
 *
 * generic-pool retries a failing factory in a tight loop. Ours never fails: making a connection means waiting
 * for the next one of the keeper, which dials with backoff. Lending takes a turn of the event loop, so `lease`
 * answers `full` and callers wait. Only a request that is bound to a connection leases it directly; that a
 * connection carries one event at a time is assured by its own limit, whoever asks.
 */
export class ExclusivePool implements ManagedPool {
  readonly agent: string
  /** Dials, keeps, watches and drains the connections; lends none itself but to requests bound to one. */
  readonly inner: ConnectionPool
  readonly #maxWaiters: number
  readonly #clock: Clock
  readonly #lending: Pool<LiveConnection>
  readonly #line = new WaiterList()
  /** Ready connections that are not lent out through generic-pool yet, and those who wait for one. */
  #fresh: LiveConnection[] = []
  readonly #expecting: ((live: LiveConnection) => void)[] = []
  #waiting = 0
  /** Asked of generic-pool and not lent yet: never more than callers wait, however many gave up before. */
  #asked = 0
  /** Turns that hold a connection which cannot take an event yet; they stand in the inner pool's queue. */
  #held = 0

  constructor(parts: ConnectionPoolParts) {
    const { maxWaiters } = parts.settings
    const settings = {
      ...parts.settings,
      maxConcurrentPerConnection: 1,
      maxWaiters: maxWaiters + MAX_CONNECTIONS,
    }
    this.agent = parts.agent
    this.#maxWaiters = maxWaiters
    this.#clock = parts.around.clock
    this.inner = new ConnectionPool({ ...parts, settings, onReady: (live) => this.#arrived(live) })
    this.#lending = createPool<LiveConnection>(
      {
        create: () => this.#next(),
        destroy: () => Promise.resolve(),
        validate: (live) => Promise.resolve(live.stage === 'ready'),
      },
      { max: MAX_CONNECTIONS, testOnBorrow: true },
    )
  }

  get metrics(): AgentMetrics {
    return this.inner.metrics
  }

  get maxBodyBytes(): number {
    return this.inner.maxBodyBytes
  }

  /** None: a lent connection goes to whoever is next in line. */
  get sessions(): undefined {
    return undefined
  }

  get whenReady(): Promise<void> {
    return this.inner.whenReady
  }

  get configPushes(): readonly ConfigPush[] {
    return this.inner.configPushes
  }

  /** Turns under way for callers who wait, or who gave up since. */
  get turns(): number {
    return this.#asked + this.#held
  }

  /** Connections that came and were never lent. */
  get spare(): number {
    return this.#fresh.length
  }

  get visitAt(): number {
    return this.inner.visitAt
  }

  watch(summon: Summon): void {
    this.inner.watch(summon)
  }

  start(): void {
    this.inner.start()
  }

  lease(hints: LeaseHints, now?: number): PooledConnection | Refusal {
    if (hints.pinnedTo !== 0) return this.inner.lease(hints, now)
    const refusal = this.inner.refusal()
    return refusal ?? 'full'
  }

  wait(waiter: LeaseWaiter): WeirError | undefined {
    if (waiter.pinnedTo !== 0) return this.inner.wait(waiter)
    if (this.inner.refusal() === 'draining') return refusalError(this.agent, 'draining')
    if (this.#waiting >= this.#maxWaiters) {
      this.inner.counters.overflows++
      return refusalError(this.agent, 'full')
    }
    /* Every caller is lent its connection later; only who finds none free has to wait for it. */
    const free = this.#lending.available + this.#fresh.length
    waiter.waitingSince = this.#asked + this.#held < free ? undefined : this.#clock.now()
    this.#line.push(waiter)
    waiter.isWaiting = true
    this.#waiting++
    if (this.#asked < this.#waiting) this.#takeTurn()
    return undefined
  }

  countBypass(reason: BypassReason): void {
    this.inner.countBypass(reason)
  }

  withdraw(waiter: LeaseWaiter): void {
    if (waiter.pinnedTo !== 0) this.inner.withdraw(waiter)
    else if (waiter.isWaiting) this.#remove(waiter)
  }

  find(connectionId: number): LiveConnection | undefined {
    return this.inner.find(connectionId)
  }

  canAdopt(incarnation?: Incarnation): WeirError | undefined {
    return this.inner.canAdopt(incarnation)
  }

  adopt(connection: Connection, incarnation?: Incarnation): WeirError | undefined {
    return this.inner.adopt(connection, incarnation)
  }

  resize(connections: number): void {
    this.inner.resize(connections)
  }

  /** Always refused: connections of this framing are dialed. */
  retune(settings: PoolSettings): void {
    this.inner.retune(settings)
  }

  pushConfig(config: unknown, version?: string): ConfigPush {
    return this.inner.pushConfig(config, version)
  }

  visit(now: number): void {
    this.inner.visit(now)
  }

  snapshot(): PoolSnapshot {
    const inner = this.inner.snapshot()
    return { ...inner, waiting: inner.waiting - this.#held + this.#waiting }
  }

  drain(deadlineAt: number): Promise<void> {
    const drained = this.inner.drain(deadlineAt)
    for (let waiter = this.#line.first; waiter !== null; waiter = this.#line.first) {
      this.#remove(waiter)
      waiter.onRefused(refusalError(this.agent, 'draining'))
    }
    return drained
  }

  /** Asks for one connection on behalf of whoever is first in line when it comes. */
  #takeTurn(): void {
    this.#asked++
    this.#lending.acquire().then(
      (live) => {
        this.#asked--
        this.#lent(live)
      },
      () => void this.#asked--,
    )
  }

  #lent(live: LiveConnection): void {
    const first = this.#line.first
    if (first === null) {
      this.#giveBack(live)
      return
    }
    const turn = new Turn(first.correlationId, live.id, (leased) => {
      this.#held--
      if (leased === undefined) this.#discard(live)
      else this.#serve(live)
    })
    const outcome = this.inner.lease(turn)
    if (typeof outcome !== 'string') this.#serve(live)
    else if (outcome === 'affinity-lost') this.#discard(live)
    else if (outcome === 'full' || outcome === 'paused') {
      this.#held++
      first.waitingSince ??= this.#clock.now()
      if (this.inner.wait(turn) !== undefined) turn.onRefused()
    } else {
      this.#giveBack(live)
      this.#remove(first)
      first.onRefused(refusalError(this.agent, outcome))
    }
  }

  /** The connection is leased; whoever is first in line gets it. */
  #serve(live: LiveConnection): void {
    const first = this.#line.first
    if (first === null) {
      live.release('cancelled', 0)
      this.#giveBack(live)
      return
    }
    this.#remove(first)
    if (first.waitingSince !== undefined)
      this.inner.counters.countQueued(this.#clock.now() - first.waitingSince)
    first.onLeased(new Loan(live, () => this.#giveBack(live)))
  }

  #giveBack(live: LiveConnection): void {
    this.#lending.release(live).then(undefined, () => undefined)
  }

  /** It died or was retired while it was lent; the caller it was meant for needs another turn. */
  #discard(live: LiveConnection): void {
    this.#lending.destroy(live).then(undefined, () => undefined)
    if (this.#waiting > 0) this.#takeTurn()
  }

  #remove(waiter: LeaseWaiter): void {
    unlink(waiter)
    waiter.isWaiting = false
    this.#waiting--
  }

  #arrived(live: LiveConnection): void {
    const expecting = this.#expecting.shift()
    if (expecting !== undefined) {
      expecting(live)
      return
    }
    /* Those that died unused must not pile up while nobody calls. */
    this.#fresh = this.#fresh.filter(({ stage }) => stage === 'ready')
    this.#fresh.push(live)
  }

  #next(): Promise<LiveConnection> {
    for (let live = this.#fresh.shift(); live !== undefined; live = this.#fresh.shift())
      if (live.stage === 'ready') return Promise.resolve(live)
    return new Promise((resolve) => this.#expecting.push(resolve))
  }
}

/** A connection in the hands of one caller. */
class Loan implements PooledConnection {
  readonly #live: LiveConnection
  readonly #giveBack: () => void

  constructor(live: LiveConnection, giveBack: () => void) {
    this.#live = live
    this.#giveBack = giveBack
  }

  get id(): number {
    return this.#live.id
  }

  get connection(): Connection {
    return this.#live.connection
  }

  get inFlight(): number {
    return this.#live.inFlight
  }

  get timeoutMultiplier(): number {
    return this.#live.timeoutMultiplier
  }

  /** One event at a time. */
  takesAhead(): boolean {
    return false
  }

  pin(): void {
    this.#live.pin()
  }

  unpin(correlationId: string): void {
    this.#live.unpin(correlationId)
  }

  /** Legacy framing has no flow signals: bytes of bodies are not counted. */
  release(outcome: LeaseOutcome, latencyMs: number): void {
    this.#live.release(outcome, latencyMs)
    this.#giveBack()
  }
}

/** Waits in the inner pool for a connection that was lent before it could take an event. */
class Turn implements LeaseWaiter {
  readonly correlationId: string
  readonly sessionKey = undefined
  readonly pinnedTo: number
  readonly avoid = 0
  readonly isBody = false
  readonly isStandIn = true
  waiterPrev: LeaseWaiter | null = null
  waiterNext: LeaseWaiter | null = null
  isWaiting = false
  waitingSince: number | undefined
  readonly #ended: (leased: PooledConnection | undefined) => void

  constructor(
    correlationId: string,
    pinnedTo: number,
    ended: (leased: PooledConnection | undefined) => void,
  ) {
    this.correlationId = correlationId
    this.pinnedTo = pinnedTo
    this.#ended = ended
  }

  onLeased(connection: PooledConnection): void {
    this.#ended(connection)
  }

  onRefused(): void {
    this.#ended(undefined)
  }
}
