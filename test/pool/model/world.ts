import assert from 'node:assert/strict'
import { seededRandom } from '../../../src/core/random.ts'
import { ConnectionPool } from '../../../src/pool/connection-pool.ts'
import type { LeaseHints, LeaseOutcome, Refusal } from '../../../src/pool/lease.ts'
import type { LiveConnection } from '../../../src/pool/live-connection.ts'
import { type PoolOptions, poolSettings } from '../../../src/pool/pool-options.ts'
import type { PooledConnection } from '../../../src/pool/pooled-connection.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type FakeConnection, FakeDialer, settled } from '../../support/fake-connection.ts'
import { hints, NotingWaiter } from '../../support/pool-fixture.ts'
import { Departures } from './departures.ts'

/** What the model knows of one connection: only facts that the test itself brought about. */
export interface ModelConnection {
  readonly fake: FakeConnection
  readonly pooled: PooledConnection
  inFlight: number
  /** Leases so far. */
  uses: number
  /** Clock milliseconds. */
  readonly bornAt: number
  /** Clock milliseconds since which nothing is in flight. */
  idleSince: number
  /** Clock milliseconds since which something is, without a break. */
  busySince: number
  /** Clock milliseconds of the opening or the last reply. */
  aliveAt: number
  /** How long the last reply took, milliseconds; Infinity before the first. */
  lastReplyMs: number
  /** It failed an event: it gets less than its full share for some time. */
  hasFailed: boolean
  /** The test itself broke it, or the pool's closing of it was checked. */
  isAccountedFor: boolean
  isPaused: boolean
  /** Request -> instant its pause lapses by itself. */
  readonly pausedBodies: Map<string, number>
  /** Bytes of bodies it may have under way, and has. */
  windowBytes: number
  bodyBytes: number
}

/** A waiter with its place in time. */
export interface Waiting {
  readonly waiter: NotingWaiter
  readonly order: number
  isWithdrawn: boolean
}

export interface Lease {
  readonly on: PooledConnection
  readonly wishes: LeaseHints
}

/**
 * The pool under test beside a model that is too simple to be wrong. Evidence-based choices (health, breaker)
 * are switched off, so that the model can predict every answer.
 */
export class World {
  readonly clock = new FakeClock()
  readonly dialer = new FakeDialer()
  readonly pool: ConnectionPool
  readonly target: number
  readonly limit: number
  readonly maxWaiters: number
  readonly maxBurst: number
  readonly departures: Departures
  readonly known = new Map<number, ModelConnection>()
  readonly waiters: Waiting[] = []
  readonly leases: Lease[] = []
  isDraining = false
  #order = 0
  #wasVisited = false

  constructor(
    options: PoolOptions & {
      connections: number
      maxConcurrentPerConnection: number
      maxWaiters: number
      maxBurst: number
    },
  ) {
    this.target = options.connections
    this.limit = options.maxConcurrentPerConnection
    this.maxWaiters = options.maxWaiters
    this.maxBurst = options.maxBurst
    const never = { consecutiveFailures: Number.POSITIVE_INFINITY }
    const settings = poolSettings({
      ...options,
      slowStartMs: 0,
      heartbeatMs: 0,
      breaker: { ...never, failureShare: 2 },
      health: { ...never, degradeBelow: -1, ejectBelow: -1, stallMs: Number.POSITIVE_INFINITY },
    })
    this.departures = new Departures(
      {
        maxAgeMs: settings.maxConnectionAgeMs,
        maxUses: settings.maxConnectionUses,
        lingerMs: settings.retireLingerMs,
        timeoutMs: settings.retireTimeoutMs,
      },
      this.clock,
      this.dialer,
    )
    const around = { clock: this.clock, random: seededRandom(3), probe: {} }
    this.pool = new ConnectionPool({ agent: 'waf', settings, around, nextDialer: () => this.dialer })
    this.pool.start()
  }

  /** Lets dials end and learns the new connections. */
  async settle(): Promise<void> {
    await settled()
    this.learn()
  }

  learn(): void {
    for (const fake of this.dialer.connections) {
      if (this.known.has(fake.id)) continue
      const pooled = this.pool.find(fake.id)
      if (pooled === undefined) continue
      const now = this.clock.now()
      this.known.set(fake.id, {
        fake,
        pooled,
        inFlight: 0,
        uses: 0,
        bornAt: now,
        idleSince: now,
        busySince: now,
        aliveAt: now,
        lastReplyMs: Number.POSITIVE_INFINITY,
        hasFailed: false,
        isAccountedFor: false,
        isPaused: false,
        pausedBodies: new Map(),
        windowBytes: Number.POSITIVE_INFINITY,
        bodyBytes: 0,
      })
    }
  }

  get alive(): ModelConnection[] {
    return [...this.known.values()].filter(({ fake }) => !fake.isClosed)
  }

  /** Those that new requests may go to, were they open. */
  get ready(): ModelConnection[] {
    return this.alive.filter((connection) => !this.isRetiring(connection))
  }

  isRetiring(connection: ModelConnection): boolean {
    return this.departures.isLeaving(connection, this.pool.find(connection.fake.id)?.stage)
  }

  /** The agent or the network ends a connection. */
  fail(connection: ModelConnection): void {
    connection.isAccountedFor = true
    connection.fake.transitionTo('closed')
  }

  pass(ms: number): void {
    this.clock.advance(ms)
    this.pool.visit(this.clock.now())
    this.#wasVisited = true
  }

  drain(deadlineMs: number): Promise<void> {
    const deadlineAt = this.clock.now() + deadlineMs
    const drained = this.pool.drain(deadlineAt)
    /* Asked for again, it is the same drain: the first deadline holds. */
    if (!this.isDraining) this.departures.drain(deadlineAt)
    this.isDraining = true
    return drained
  }

  canTakeNew(connection: ModelConnection): boolean {
    return !connection.isPaused && this.hasRoom(connection) && !this.isRetiring(connection)
  }

  hasRoom({ fake, inFlight }: ModelConnection): boolean {
    return !fake.isClosed && fake.isWritable && inFlight < this.limit
  }

  /** Why an event that is bound to this connection must wait for its body's sake. */
  heldBack(connection: ModelConnection, { correlationId, isBody }: LeaseHints): Refusal | undefined {
    if (isBody === false) return undefined
    const { pausedBodies, windowBytes, bodyBytes } = connection
    if (bodyBytes >= windowBytes) return windowBytes === 0 ? 'paused' : 'full'
    return (pausedBodies.get(correlationId) ?? 0) > this.clock.now() ? 'paused' : undefined
  }

  get waiting(): Waiting[] {
    return this.waiters.filter(({ waiter, isWithdrawn }) => waiter.calls === 0 && !isWithdrawn)
  }

  /** What `lease` must answer: a refusal, or any of these connections. */
  expected(wishes: LeaseHints): Refusal | ModelConnection[] {
    if (wishes.pinnedTo !== 0) return this.expectedPinned(wishes)
    if (this.isDraining) return 'draining'
    const { ready } = this
    if (ready.length === 0) return 'unavailable'
    if (ready.every(({ isPaused }) => isPaused)) return 'paused'
    const open = ready.filter((connection) => this.canTakeNew(connection))
    if (open.length === 0) return 'full'
    if (wishes.isBody !== true) return open
    const held = open.map((connection) => this.heldBack(connection, wishes))
    if (held.includes(undefined)) return open.filter((_, n) => held[n] === undefined)
    return held.includes('full') ? 'full' : 'paused'
  }

  expectedPinned(wishes: LeaseHints): Refusal | ModelConnection[] {
    const { pinnedTo } = wishes
    const connection = this.known.get(pinnedTo)
    if (connection === undefined || connection.fake.isClosed) return 'affinity-lost'
    if (connection.isPaused) return 'paused'
    const held = this.heldBack(connection, wishes)
    if (held !== undefined) return held
    return this.hasRoom(connection) ? [connection] : 'full'
  }

  /** The connection, once it is known to be a right one; undefined: rightly refused. */
  lease(wishes: Partial<LeaseHints>): PooledConnection | undefined {
    const all = hints(wishes)
    const expected = this.expected(all)
    const got = this.pool.lease(all)
    if (typeof got === 'string' || typeof expected === 'string') {
      assert.equal(typeof got === 'string' ? got : 'leased', expected)
      return undefined
    }
    assert.ok(expected.some(({ fake }) => fake.id === got.id))
    this.took(got, all)
    return got
  }

  took(on: PooledConnection, wishes: LeaseHints): void {
    this.learn()
    const connection = this.known.get(on.id)!
    assert.equal(connection.fake.isClosed, false, 'a dead connection was leased')
    if (connection.inFlight++ === 0) connection.busySince = this.clock.now()
    connection.uses++
    assert.ok(connection.inFlight <= this.limit, 'a full connection was leased')
    connection.bodyBytes += wishes.bodyBytes ?? 0
    this.leases.push({ on, wishes })
  }

  wait(wishes: Partial<LeaseHints>): void {
    const isFull = this.waiting.length >= this.maxWaiters
    const waiting: Waiting = {
      waiter: new NotingWaiter(wishes, () => this.#called(waiting)),
      order: this.#order++,
      isWithdrawn: false,
    }
    /* As the pipeline does: only who was refused waits. */
    const expected = this.expected(hints(wishes))
    if (expected !== 'full' && expected !== 'paused') return
    const refused = this.pool.wait(waiting.waiter)
    assert.equal(
      refused?.code,
      this.isDraining && waiting.waiter.pinnedTo === 0 ? 'DRAINING' : isFull ? 'OVERLOADED' : undefined,
    )
    if (refused === undefined) this.waiters.push(waiting)
  }

  /** Exactly one callback, and first come first served among those who wait for the same. */
  #called(waiting: Waiting): void {
    const { waiter, order, isWithdrawn } = waiting
    assert.equal(waiter.calls, 1, 'a waiter was called twice')
    assert.equal(isWithdrawn, false, 'a withdrawn waiter was called')
    assert.equal(waiter.isWaiting, false)
    if (waiter.leased === undefined) return
    for (const other of this.waiting) {
      if (other.order > order || other.waiter.pinnedTo !== waiter.pinnedTo) continue
      const mayBePassed = typeof this.expected(other.waiter) === 'string'
      assert.ok(mayBePassed, 'a waiter was overtaken')
    }
    this.took(waiter.leased, waiter)
    if (this.waiting.some((other) => other.waiter.pinnedTo === 0 && other.waiter.isBody !== true))
      assert.equal(typeof this.pool.lease(hints()), 'string', 'a waiter was overtaken from within a callback')
    if (order % 3 === 0) this.release(this.leases.at(-1)!, 'replied')
    const connection = this.known.get(waiter.leased.id)!
    if (waiter.pinnedTo !== 0) assert.equal(waiter.pinnedTo, waiter.leased.id)
    else assert.equal(this.isRetiring(connection), false, 'a new request went to a retiring connection')
    assert.equal(connection.isPaused, false, 'a paused connection was leased')
  }

  release(lease: Lease, how: LeaseOutcome, latencyMs = 1): void {
    this.leases.splice(this.leases.indexOf(lease), 1)
    const connection = this.known.get(lease.on.id)!
    if (--connection.inFlight === 0) connection.idleSince = this.clock.now()
    connection.bodyBytes -= lease.wishes.bodyBytes ?? 0
    if (how === 'replied') {
      connection.aliveAt = this.clock.now()
      connection.lastReplyMs = latencyMs
    }
    if (how === 'timeout' || how === 'bad-reply') connection.hasFailed = true
    lease.on.release(how, latencyMs, lease.wishes)
  }

  /** Holds after every step. */
  check(): void {
    this.learn()
    let total = 0
    for (const connection of this.known.values()) {
      assert.equal(connection.pooled.inFlight, connection.inFlight)
      assert.equal((connection.pooled as LiveConnection).bodyBytesInFlight, connection.bodyBytes)
      if (!connection.fake.isClosed) total++
      else assert.equal(this.pool.find(connection.fake.id), undefined)
    }
    assert.equal(
      this.leases.length,
      [...this.known.values()].reduce((sum, { inFlight }) => sum + inFlight, 0),
    )
    const retiring = this.alive.filter((connection) => this.isRetiring(connection)).length > 0
    const closed = [...this.known.values()].filter(
      ({ fake, isAccountedFor }) => fake.isClosed && !isAccountedFor,
    )
    this.departures.check(this.alive, closed, this.#wasVisited)
    for (const connection of closed) connection.isAccountedFor = true
    this.#wasVisited = false
    assert.ok(
      total <= this.target + (retiring ? 1 : 0),
      `${total} connections for a target of ${this.target}`,
    )
    for (const { waiter } of this.waiting) {
      const could = this.expected(waiter)
      assert.ok(typeof could === 'string', 'somebody waits although he could be served')
    }
    assert.equal(this.pool.snapshot().waiting, this.waiting.length)
  }

  /** Everything comes back to nothing. */
  async end(): Promise<void> {
    const drained = this.drain(1000)
    const free = this.waiting.filter(({ waiter }) => waiter.pinnedTo === 0)
    assert.equal(free.length, 0, 'a drain left a caller waiting whom nobody will serve')
    this.clock.advance(6000)
    assert.equal(this.waiting.length, 0, 'a drain left a waiter without answer')
    await drained
    await this.settle()
    for (const lease of [...this.leases]) this.release(lease, 'lost')
    for (const dial of [...this.dialer.waiting]) dial.succeed()
    await this.settle()
    this.check()
    const { active, inFlight, waiting, state } = this.pool.snapshot()
    assert.deepEqual(
      { active, inFlight, waiting, state },
      { active: 0, inFlight: 0, waiting: 0, state: 'draining' },
    )
    assert.equal(this.dialer.alive.length, 0, 'a connection outlived the drain')
    assert.equal(this.clock.timers, 0, 'a timer outlived the drain')
  }
}
