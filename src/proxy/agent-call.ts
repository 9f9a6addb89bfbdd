import { failureCodeOf, failureText } from '../core/agent-failure.ts'
import type { CancelReason } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { AgentEvent, BodyChunkEvent } from '../core/event.ts'
import type { BypassReason } from '../core/probe.ts'
import type { AgentReply } from '../core/reply.ts'
import { NOT_ARMED, type WheelNode } from '../core/timer-wheel.ts'
import type { LeaseOutcome, LeaseWaiter } from '../pool/lease.ts'
import type { PooledConnection } from '../pool/pooled-connection.ts'
import type { PendingReply } from '../transport/connection.ts'
import { type AgentPolicy, type ChainAgent, getsSeveralEvents } from './agent-policy.ts'
import { type BodyShare, isPiece } from './body-share.ts'
import { HELD, type Pipeline } from './layer.ts'
import type { Hedge } from './layers/hedge.ts'
import type { LimitAllowed, LimitRequest } from './limits/limit-gate.ts'
import { BLAMES_CALLER, flawOf } from './reply-check.ts'
import { type RequestFactsIn, type RequestScope, UNPINNED } from './request-scope.ts'

/** Who waits for a call. */
export interface CallOwner {
  /** The call has a `reply`, or an `error` (a denial), or a `bypass`. Called once. */
  onSettled(call: AgentCall): void
  /** True for a piece of a body that was sent ahead of the verdict on the one before it. */
  readonly followsOpenPiece?: boolean
  /** The agent answers another event of this owner first. Absent: never. */
  isBehind?(call: AgentCall): boolean
}

/**
 * One event on its way to one agent and back: the only record made per event and agent. It is at once the
 * pending entry of the connection, the waiter of the pool's queue and the node of the timer wheel, so that none
 * of them allocates.
 */
export class AgentCall implements PendingReply, LeaseWaiter, WheelNode, LimitRequest {
  readonly agent: ChainAgent
  readonly event: AgentEvent
  readonly scope: RequestScope
  readonly correlationId: string
  readonly isBody: boolean
  /** Clock milliseconds. */
  readonly startedAt: number
  /**
   * Clock milliseconds from which its time is counted: `startedAt`, or the instant at which a piece that was sent ahead
   * became the next one of its body at the agent.
   */
  dueSince: number
  /** Position among the agents of its run. */
  readonly index: number
  readonly #pipeline: Pipeline
  readonly #owner: CallOwner
  readonly #clock: Clock

  reply: AgentReply | null = null
  error: WeirError | null = null
  /** Set when the failure mode turned `error` into a bypass. */
  bypass: BypassReason | null = null
  isSettled = false

  /* The lease: set while a connection is leased. */
  connection: PooledConnection | null = null
  /** Handed to the connection and neither answered nor lost: it sits in the connection's table. */
  isPending = false
  /** Clock milliseconds; the event is sent in the turn that leases. 0: no connection yet. */
  leasedAt = 0
  /** Clock milliseconds at which it began to wait for a connection; 0: the last attempt found one at once. */
  queuedAt = 0
  attempts = 0
  hedge: Hedge | null = null
  /** Counted among the events that measured load limits. */
  isCounted = false
  /** The agent's breaker refused it. */
  isBroken = false
  /** Refused to shed load: no failure mode of an agent may let it pass instead. */
  isShed = false
  /** What rate limits took for it; null: it was not asked, or nothing is to be given back any more. */
  limitReceipt: LimitAllowed | null = null
  /** The reply came over another connection than the lease's. */
  wasOvertaken = false
  /** A layer held the call: time has passed since `startedAt`. */
  wasHeld = false
  cancelReason: CancelReason = 'timeout'
  /** Nobody waits for it any more, and the agent is told nothing: it was told already, or its answer is still of use. */
  isQuiet = false

  sessionKey: string | undefined
  pinnedTo: number = UNPINNED
  avoid = 0
  flowSerial = 0

  waiterPrev: LeaseWaiter | null = null
  waiterNext: LeaseWaiter | null = null
  isWaiting = false

  nextSameId: PendingReply | null = null

  wheelPrev: WheelNode | null = null
  wheelNext: WheelNode | null = null
  wheelSlot: number = NOT_ARMED
  deadlineAt = 0
  /** Ends the wait for a resume before the deadline does; null: the call never waited for one. */
  pauseLimit: WheelNode | null = null

  /* Neighbours in the scope's list of calls. */
  scopePrev: AgentCall | null = null
  scopeNext: AgentCall | null = null

  #depth = 0
  /** The agent answered, and its answer is the failure: whatever code it has, it is the agent's own. */
  #isBadReply = false
  /** A layer that is being left must not fail the call a second time. */
  #isUnwinding = false

  constructor(
    agent: ChainAgent,
    event: AgentEvent,
    scope: RequestScope,
    pipeline: Pipeline,
    owner: CallOwner,
    index: number,
    clock: Clock,
  ) {
    this.agent = agent
    this.event = event
    this.scope = scope
    this.correlationId = scope.correlationId
    this.isBody = isPiece(event)
    this.sessionKey = scope.facts.sessionKey
    this.#pipeline = pipeline
    this.#owner = owner
    this.index = index
    this.#clock = clock
    this.startedAt = clock.now()
    this.dueSince = this.startedAt
    scope.attach(this)
  }

  /** For the byte windows of agents. */
  get bodyBytes(): number {
    return isPiece(this.event) ? this.event.data.byteLength : 0
  }

  /* What a rate limit looks at. */

  get agentName(): string {
    return this.agent.policy.name
  }

  get facts(): RequestFactsIn {
    return this.scope.facts
  }

  get routeName(): string {
    return this.scope.chain.name
  }

  get payloadBytes(): number {
    return 'data' in this.event ? this.event.data.length : 0
  }

  get policy(): AgentPolicy {
    return this.agent.policy
  }

  /** What its agent has of the body that this is a piece of; undefined: nothing yet, or it is no piece. */
  get bodyShare(): BodyShare | undefined {
    return isPiece(this.event) ? this.scope.bodyShareOf(this.policy.name, this.event.kind) : undefined
  }

  /** The event goes out: the rest of a body that it begins has to go there too, or wherever a response's head is. */
  noteShown(): void {
    const { event, scope, policy, connection } = this
    if (isPiece(event)) scope.openBodyShare(policy.name, event.kind).connectionId = connection!.id
    else if (event.kind === 'response-headers') {
      const share = scope.bodyShareOf(policy.name, 'response-body-chunk')
      if (share !== undefined) share.connectionId = UNPINNED
    }
  }

  /**
   * The request goes on elsewhere than on the connection `lost`, which alone has its head and what else came before. A
   * body stays where its head is; a response begins anew when its headers go out (`noteShown`), and with nothing else.
   */
  startAfresh(lost: number): void {
    this.pinnedTo = UNPINNED
    if (this.event.kind === 'request-headers' || this.scope.isClosed) return
    this.#keepBody('request-body-chunk', lost)
    this.#keepBody('response-body-chunk', lost)
  }

  get followsOpenPiece(): boolean {
    return this.#owner.followsOpenPiece === true
  }

  /** Its agent has yet to answer the piece of the body before this one. */
  get isBehind(): boolean {
    return this.#owner.isBehind?.(this) === true
  }

  /** How long it waited for the connection it got, milliseconds; undefined: it got none. */
  get leaseWaitMs(): number | undefined {
    if (this.leasedAt === 0 || this.leasedAt < this.queuedAt) return undefined
    return this.queuedAt === 0 ? 0 : this.leasedAt - this.queuedAt
  }

  /** Enters the layers from where the call stands. */
  advance(): void {
    const pipeline = this.#pipeline
    while (this.#depth < pipeline.length) {
      if (pipeline[this.#depth]!.enter?.(this) === HELD) return
      this.#depth++
    }
  }

  /** Holds a leased connection. Pins it at once, so that a second event of the request finds it too. */
  take(connection: PooledConnection, now: number): void {
    this.connection = connection
    this.leasedAt = now
    this.pin(now)
  }

  /** Later events of the request go to this call's connection. */
  pin(now: number): void {
    const { policy, scope, agent } = this
    if (scope.isClosed || !getsSeveralEvents(policy)) return
    const connection = this.connection!
    const before = scope.pinOf(policy.name)
    scope.pin(policy.name, connection.id, now)
    if (before === connection.id) return
    connection.pin()
    if (before !== UNPINNED) agent.pool.find(before)?.unpin(this.correlationId)
  }

  /** Goes on behind the layer that held the call. No-op once settled. */
  resume(): void {
    if (this.isSettled) return
    this.wasHeld = true
    this.#depth++
    this.advance()
  }

  /** A hedge was answered first: its answer counts, and this call's own connection is told to stop. */
  overtake(reply: AgentReply): void {
    if (this.isPending && this.connection!.connection.abandon(this)) {
      this.connection!.connection.cancel(this.correlationId, 'manual')
      this.wasOvertaken = true
    }
    this.onReply(reply)
  }

  onReply(reply: AgentReply): void {
    this.isPending = false
    const failure = failureCodeOf(reply)
    if (failure !== undefined) {
      this.#isBadReply = true
      const code = BLAMES_CALLER.has(failure) ? 'INTERNAL' : failure
      this.fail(new WeirError(code, `agent ${this.policy.name} failed: ${failureText(reply)}`))
      return
    }
    const flaw = flawOf(reply, this.event)
    if (flaw !== undefined) {
      this.#isBadReply = true
      this.fail(new WeirError('PROTOCOL_ERROR', `agent ${this.policy.name}: ${flaw}`))
      return
    }
    this.reply = reply
    this.#settle()
  }

  onLost(error: WeirError): void {
    this.isPending = false
    this.fail(error)
  }

  outlasts(refusal: 'paused' | 'unavailable'): boolean {
    for (const layer of this.#pipeline) if (layer.outlasts?.(this, refusal) === false) return false
    return true
  }

  onLeased(connection: PooledConnection): void {
    this.take(connection, this.#clock.now())
    this.resume()
  }

  onRefused(error: WeirError): void {
    this.fail(error)
  }

  onDeadline(): void {
    for (const layer of this.#pipeline) if (layer.extend?.(this)) return
    if (this.isQuiet) {
      this.cancel('timeout')
      return
    }
    const { name } = this.policy
    const timeoutMs = Math.round(this.deadlineAt - this.dueSince)
    this.cancelReason = 'timeout'
    const isSent = this.isPending || this.hedge?.isAlone === true
    const where = isSent ? 'did not answer' : 'had no free connection'
    this.fail(
      new WeirError('TIMEOUT', `agent ${name} ${where} within ${timeoutMs} ms (agents.${name}.timeoutMs)`, {
        sent: isSent,
      }),
    )
  }

  /** Gives up on the agent: `reason` goes to it if it already works on the event. */
  cancel(reason: CancelReason): void {
    this.cancelReason = reason
    this.fail(new WeirError('CANCELLED', `the call to agent ${this.policy.name} was cancelled: ${reason}`))
  }

  /** As `cancel`, where another call of the request has told the agent. */
  cancelQuietly(reason: CancelReason): void {
    this.isQuiet = true
    this.cancel(reason)
  }

  /** As `fail`, where another call of the request has told the agent and counts against it. */
  failQuietly(error: WeirError): void {
    this.isQuiet = true
    this.fail(error)
  }

  /** The call failed; a layer may still recover it. No-op once settled. */
  fail(error: WeirError): void {
    if (this.isSettled || this.#isUnwinding) return
    this.#isUnwinding = true
    this.error = error
    const pipeline = this.#pipeline
    for (let depth = Math.min(this.#depth, pipeline.length - 1); depth >= 0; depth--) {
      const layer = pipeline[depth]!
      const recovery = layer.recover?.(this) ?? 'none'
      if (recovery === 'none') {
        layer.leave?.(this)
        continue
      }
      this.error = null
      this.#isUnwinding = false
      this.#isBadReply = false
      this.#depth = recovery === 'again' ? depth + 1 : depth
      if (recovery === 'again') this.advance()
      return
    }
    this.isSettled = true
    this.scope.detach(this)
    this.#owner.onSettled(this)
  }

  /** How the lease ended, for health and statistics. */
  get leaseOutcome(): LeaseOutcome {
    if (this.wasOvertaken) return 'cancelled'
    if (this.error === null) return 'replied'
    if (this.#isBadReply) return 'bad-reply'
    switch (this.error.code) {
      case 'TIMEOUT':
        return this.isQuiet ? 'cancelled' : 'timeout'
      case 'CANCELLED':
      case 'DRAINING':
        return 'cancelled'
      case 'CONNECTION_LOST':
        return this.error.sent ? 'lost' : 'not-sent'
      default:
        return this.error.sent ? 'bad-reply' : 'not-sent'
    }
  }

  #keepBody(kind: BodyChunkEvent['kind'], connectionId: number): void {
    if (!this.policy.events.has(kind)) return
    const share = this.scope.openBodyShare(this.policy.name, kind)
    if (share.connectionId === UNPINNED) share.connectionId = connectionId
  }

  #settle(): void {
    if (this.isSettled) return
    const pipeline = this.#pipeline
    this.isSettled = true
    for (let depth = pipeline.length - 1; depth >= 0; depth--) pipeline[depth]!.leave?.(this)
    this.scope.detach(this)
    this.#owner.onSettled(this)
  }
}
