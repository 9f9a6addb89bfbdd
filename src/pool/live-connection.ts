import type {
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import { concurrencyLimit } from '../policy/concurrency-limit.ts'
import { type BodyHold, FlowGate, UNCOUNTED } from '../policy/flow-gate.ts'
import type { Health } from '../policy/health/health.ts'
import { PeakEwma } from '../policy/peak-ewma.ts'
import type { Candidate } from '../policy/picker.ts'
import { slowStartWeight } from '../policy/slow-start.ts'
import type { Connection, ConnectionObserver } from '../transport/connection.ts'
import { MAX_REPLY_MS } from './burst.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import { retirementAt } from './departure.ts'
import { Farewell, type Leaving } from './farewell.ts'
import { Heartbeat } from './heartbeat.ts'
import type { LeaseHints, LeaseOutcome } from './lease.ts'
import type { Origin } from './origin.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { Stage } from './stage.ts'
import { WaiterList } from './waiter-list.ts'

const CLOSED = new WeirError('CONNECTION_LOST', 'closed by the pool', { sent: false })

/** A latency that decayed to this says nothing of the agent any more. */
const NEGLIGIBLE_MS = 0.001

/** Latency of the connections that have not answered yet. Nobody may observe anything with it. */
const UNMEASURED = new PeakEwma()

/** One connection with every fact that decides whether it may be picked. The only writer of those facts. */
export class LiveConnection implements PooledConnection, Candidate, ConnectionObserver, Leaving {
  readonly id: number
  readonly connection: Connection
  /** Changed by {@link retune} alone. */
  origin: Origin
  readonly health: Health
  /** Clock milliseconds, whole ones: V8 keeps a small integer in the object itself, a fraction in a box of its own. */
  readonly openedAt: number
  /** Callers that wait for this connection and no other; undefined: nobody ever did. */
  bound: WaiterList | undefined
  /** Events at once, by configuration and the agent's word. >= 1. */
  limit = 1
  inFlight = 0
  /** Requests whose later events will come here. */
  pins = 0
  /** Leases so far. */
  uses = 0
  errors = 0
  timeouts = 0
  strays = 0
  /** Clock milliseconds of the last proof of life: the opening, a usable reply, a ping that was answered. */
  aliveAt: number
  /** How long the last usable reply took, milliseconds; Infinity before the first. */
  lastReplyMs = Number.POSITIVE_INFINITY
  /** Replaced at the next opportunity, whatever its age: it lacks the newest configuration. */
  isOutdated = false
  /** Its peer announced that it will end it. */
  isEnding = false
  /** Clock milliseconds, whole ones, since which something is in flight without a break. */
  #busySince = 0
  readonly #owner: ConnectionOwner
  /* What only some connections come to need; the idle ones, of which there may be thousands, go without. */
  #gate: FlowGate | undefined
  #latency = UNMEASURED
  #heartbeat: Heartbeat | undefined
  #isEjected = false
  /** It is among the `slow` ones of its owner. */
  #isCountedSlow = false
  #reported: HealthReport['state'] = 'healthy'
  #isWarm = false
  #stage: Stage
  #farewell: Farewell | undefined

  /** `isHeld`: nothing may go there before {@link enter}. */
  constructor(
    owner: ConnectionOwner,
    connection: Connection,
    origin: Origin,
    health: Health,
    isHeld: boolean,
  ) {
    this.#owner = owner
    this.#stage = isHeld ? 'configuring' : 'ready'
    this.id = connection.id
    this.connection = connection
    this.origin = origin
    this.health = health
    const now = owner.clock.now()
    this.openedAt = Math.floor(now)
    this.aliveAt = now
    this.retune(origin)
    this.#countSlow()
  }

  /** Other terms from now on. Leases above a lowered limit end as they would have. */
  retune(origin: Origin): void {
    this.origin = origin
    const { slowStartMs, maxInFlight } = origin.terms
    this.#isWarm ||= slowStartMs <= 0
    const { isExclusive, capabilities } = this.connection
    const { limits, features } = capabilities
    if (!isExclusive)
      this.limit = concurrencyLimit(maxInFlight, limits.maxConcurrency, features.concurrentRequests)
  }

  /** What outlives the connection and names where it leads: address or instance. Sessions prefer it. */
  get home(): string {
    return this.origin.incarnation?.instance ?? this.connection.peer
  }

  get agent(): string {
    return this.#owner.agent
  }

  get clock(): Clock {
    return this.#owner.clock
  }

  get stage(): Stage {
    return this.#stage
  }

  get isPaused(): boolean {
    return this.#gate?.isPaused === true
  }

  /** Whether new requests may come here at all, however full it is: ready, and health admits it. */
  get isUsable(): boolean {
    return this.#stage === 'ready' && this.health.admits(this.#owner.now)
  }

  get isAvailable(): boolean {
    return (
      this.#stage === 'ready' &&
      this.inFlight < this.limit &&
      !this.isPaused &&
      this.connection.isWritable &&
      this.health.admits(this.#owner.now)
    )
  }

  /** Room for an event of a request that is bound to this connection: health and retirement do not matter. */
  get hasRoom(): boolean {
    return this.inFlight < this.limit && this.connection.isWritable
  }

  takesAhead(correlationId: string): boolean {
    return (
      this.#owner.waiting === 0 &&
      this.#owner.isBreakerClosed &&
      this.hasRoom &&
      !this.isPaused &&
      this.holdsBody(correlationId) === undefined
    )
  }

  get weight(): number {
    const { now } = this.#owner
    const share = this.health.weight(now)
    if (this.#isWarm) return share
    const ageMs = now - this.openedAt
    const { slowStartMs } = this.origin.terms
    this.#isWarm = ageMs >= slowStartMs
    return share * slowStartWeight(ageMs, slowStartMs)
  }

  get latencyMs(): number {
    return this.#latency.value(this.#owner.now)
  }

  get timeoutMultiplier(): number {
    return this.health.timeoutMultiplier(this.#owner.clock.now())
  }

  /** Upper bound for the age of the oldest unanswered event, milliseconds; 0 when nothing is in flight. */
  oldestUnansweredMs(now: number): number {
    return this.inFlight === 0 ? 0 : now - this.#busySince
  }

  /** Milliseconds for which it has had something to answer and gave no sign of life. */
  get silentMs(): number {
    return this.inFlight === 0 ? 0 : this.#owner.now - Math.max(this.aliveAt, this.#busySince)
  }

  /** Why a body chunk of this request must wait, though the connection could take other events. */
  holdsBody(correlationId: string): BodyHold | undefined {
    return this.#gate?.holdsBody(correlationId, this.#owner.now)
  }

  /** Counts one more lease. The pool asked for room first. */
  take(hints: LeaseHints): this {
    const { now } = this.#owner
    const { bodyBytes } = hints
    if (bodyBytes !== undefined && bodyBytes > 0) {
      this.#gate ??= new FlowGate()
      hints.flowSerial = this.#gate.sent(hints.correlationId, bodyBytes)
    }
    if (this.inFlight++ === 0) this.#busySince = Math.floor(now)
    this.#owner.inFlight++
    this.uses++
    this.health.leased(now)
    return this
  }

  release(
    outcome: LeaseOutcome,
    latencyMs: number,
    lease?: LeaseHints,
    heldMs = latencyMs,
    now = this.#owner.clock.now(),
  ): void {
    const owner = this.#owner
    owner.now = now
    const beganAt = now - heldMs
    this.inFlight--
    owner.inFlight--
    const bodyBytes = lease?.bodyBytes
    if (bodyBytes !== undefined && bodyBytes > 0)
      this.#gate!.settled(lease!.correlationId, bodyBytes, lease!.flowSerial ?? UNCOUNTED)
    switch (outcome) {
      case 'replied':
        this.aliveAt = now
        this.lastReplyMs = latencyMs
        if (this.#latency === UNMEASURED) this.#latency = new PeakEwma()
        this.#latency.observe(latencyMs, now)
        this.health.replied(now, beganAt)
        if (this.#isEjected) this.#isEjected = this.health.trialAt !== undefined
        this.#countSlow()
        break
      case 'timeout':
      case 'bad-reply':
        this.errors++
        if (outcome === 'timeout') this.timeouts++
        this.health.failed(now, beganAt)
        this.#noteEjection()
        break
      case 'lost':
        this.errors++
        break
      case 'not-sent':
      case 'cancelled':
        this.health.withdrawn(beganAt)
        break
    }
    owner.onReleased(this, outcome, heldMs)
    if (this.inFlight === 0 && this.#farewell !== undefined) this.#farewell.onIdle()
    if (owner.waiting !== 0) owner.onRoom(this)
  }

  /** Bytes the agent last said it can take on this connection; Infinity when it never said. */
  get windowBytes(): number {
    return this.#gate?.windowBytes ?? Number.POSITIVE_INFINITY
  }

  /** Bytes of body chunks leased and not released. */
  get bodyBytesInFlight(): number {
    return this.#gate?.bytesInFlight ?? 0
  }

  /** Heartbeat and progress watchdog. Returns the instant of the next look, clock milliseconds. */
  visit(now: number): number {
    const beatAt = this.#beat(now)
    if (this.inFlight === 0) return Math.min(beatAt, retirementAt(this, now))
    this.health.progressed(this.oldestUnansweredMs(now), now)
    this.#noteEjection()
    return now
  }

  /** Who waits for this connection and no other, in order. */
  bindWaiters(): WaiterList {
    this.bound ??= new WaiterList()
    return this.bound
  }

  /** The ping of `beatAt`, clock milliseconds, was answered. */
  ponged(beatAt: number, wasSilent: boolean): void {
    const owner = this.#owner
    owner.now = owner.clock.now()
    this.aliveAt = Math.max(this.aliveAt, beatAt)
    this.#heartbeat = undefined
    this.health.ponged(owner.now)
    this.#isEjected = this.health.trialAt !== undefined
    this.#countSlow()
    if (wasSilent) owner.onPonged()
    if (owner.waiting !== 0) owner.onRoom(this)
  }

  missedPing(): void {
    this.health.pingMissed(this.#owner.clock.now())
    this.#noteEjection()
  }

  pin(): void {
    this.pins++
  }

  unpin(correlationId: string): void {
    this.pins--
    this.#gate?.forget(correlationId)
    this.#farewell?.onIdle()
  }

  /** It took its configuration, or has been waited for long enough. False when it is leaving or gone already. */
  enter(): boolean {
    if (this.#stage === 'configuring') this.#stage = 'ready'
    this.#countSlow()
    return this.#stage === 'ready'
  }

  /** Picked no more; closes once idle for `lingerMs`, destroyed at the deadline. Twice: the tighter bounds. */
  retire(deadlineAt: number, lingerMs: number): Promise<void> {
    if (this.#stage === 'ready' || this.#stage === 'configuring') this.#stage = 'retiring'
    this.#countSlow()
    if (this.#farewell !== undefined) this.#farewell.hasten(deadlineAt, lingerMs)
    else if (this.#stage === 'gone') return Promise.resolve()
    else this.#farewell = new Farewell(this.#owner.clock, this, deadlineAt, lingerMs)
    return this.#farewell.done
  }

  close(): Promise<void> {
    const closed = this.connection.close()
    this.#end(CLOSED)
    return closed
  }

  destroy(reason: WeirError): void {
    this.connection.destroy(reason)
    this.#end(reason)
  }

  onClosed(reason: WeirError): void {
    this.#end(reason)
  }

  onFlow(signal: FlowSignal): void {
    const owner = this.#owner
    owner.now = owner.clock.now()
    this.#gate ??= new FlowGate()
    const change = this.#gate.apply(signal, owner.now)
    owner.onFlowChanged(change)
    if (owner.waiting !== 0 && change !== 'none') owner.onRoom(this)
  }

  onWritable(): void {
    if (this.#owner.waiting !== 0) this.#owner.onRoom(this)
  }

  onRetiring(): void {
    this.isEnding = true
    this.#owner.onRetiring()
  }

  onHealth(report: HealthReport): void {
    const owner = this.#owner
    owner.now = owner.clock.now()
    this.health.reported(report, owner.now, owner.clock.wallMs())
    owner.reports.heard(report, owner.now)
    if (report.state !== this.#reported) {
      this.#reported = report.state
      owner.onHealthChanged(this, report)
    }
    if (owner.waiting !== 0) owner.onRoom(this)
  }

  onMetrics(report: MetricsReport): void {
    this.#owner.reports.metrics(report)
  }

  onLog(message: LogMessage): void {
    this.#owner.reports.log(this, message)
  }

  onConfigUpdate(request: ConfigUpdateRequest): void {
    this.#owner.reports.configUpdate(this, request)
  }

  onStrayReply(): void {
    this.strays++
    this.#owner.onStrayReply()
  }

  /** Asks whether anybody is there, ahead of the next heartbeat. */
  knock(now: number): void {
    if (!this.#isPinged) return
    this.#heartbeat ??= new Heartbeat()
    this.#heartbeat.knock(this, now, this.origin.terms.heartbeatMs)
  }

  /** Legacy framing has no ping. */
  get #isPinged(): boolean {
    return this.origin.terms.heartbeatMs > 0 && this.connection.transport !== 'v1'
  }

  /** Pings when due. Returns the instant of the next look, clock milliseconds. */
  #beat(now: number): number {
    const { heartbeatMs } = this.origin.terms
    if (!this.#isPinged) return Number.POSITIVE_INFINITY
    const dueAt = Math.max(this.aliveAt, this.#heartbeat?.beatAt ?? 0) + heartbeatMs
    if (now < dueAt) return dueAt
    this.#rest(now)
    this.#heartbeat ??= new Heartbeat()
    this.#heartbeat.beat(this, now, heartbeatMs)
    return now + heartbeatMs
  }

  /** Lets go of readings that have decayed to nothing: a connection may be idle for days. */
  #rest(now: number): void {
    this.health.rest(now)
    if (this.#latency.value(now) < NEGLIGIBLE_MS) this.#latency = UNMEASURED
  }

  #countSlow(): void {
    const isSlow = this.lastReplyMs > MAX_REPLY_MS && this.#stage === 'ready' && !this.#isEjected
    if (isSlow === this.#isCountedSlow) return
    this.#isCountedSlow = isSlow
    this.#owner.slow += isSlow ? 1 : -1
  }

  #noteEjection(): void {
    if (this.#isEjected || this.health.trialAt === undefined) return
    this.#isEjected = true
    this.#countSlow()
    this.#owner.onEjected(this)
  }

  #end(reason: WeirError): void {
    if (this.#stage === 'gone') return
    const isLoss = this.#stage !== 'retiring'
    this.#stage = 'gone'
    this.#countSlow()
    this.health.close()
    this.#farewell?.onGone()
    this.#owner.onGone(this, reason, isLoss)
  }
}
