import type { CancelReason } from '../../src/core/agent-messages.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { AgentEvent } from '../../src/core/event.ts'
import type { BypassReason } from '../../src/core/probe.ts'
import { type AgentReply, ALLOW, reply } from '../../src/core/reply.ts'
import type { AgentPool } from '../../src/pool/agent-pool.ts'
import type { LeaseHints, LeaseOutcome, LeaseWaiter, Refusal } from '../../src/pool/lease.ts'
import type { PooledConnection } from '../../src/pool/pooled-connection.ts'
import type { Connection, PendingReply } from '../../src/transport/connection.ts'

interface Sent {
  readonly event: AgentEvent
  readonly pending: PendingReply
  readonly connectionId: number
}

/**
 * A pool without sockets, for schedules of the pipeline that sockets cannot be made to produce. It keeps the
 * contract of `AgentPool` and notes everything: what was sent, cancelled, leased and released.
 */
export class ScriptedPool implements AgentPool {
  readonly agent: string
  /** What the agent says it takes. */
  maxBodyBytes = Number.POSITIVE_INFINITY
  readonly sent: Sent[] = []
  readonly cancelled: {
    readonly id: string
    readonly reason: CancelReason
    readonly connectionId: number
  }[] = []
  readonly released: LeaseOutcome[] = []
  readonly waiters: LeaseWaiter[] = []
  leases = 0
  /** Bytes of body chunks leased and not released. */
  bodyBytes = 0
  /** Pins held by requests, on whatever connection. */
  pins = 0
  /** What `lease` answers instead of a connection. */
  refusal: Refusal | undefined
  /** Ids of live connections, in the order they are leased. */
  live: number[]
  /** Connections whose next `send` fails before a byte left. */
  readonly brokenBeforeSending = new Set<number>()
  /** Connection and correlation id of abandoned events, whose replies are still due: as in a pending table. */
  readonly #owed = new Set<string>()
  maxWaiters = 10
  /** What connections say that their agent asked for. */
  timeoutMultiplier = 1
  /** Whether its connections take a piece of a body before the piece before it is answered. */
  takesAhead = true
  answer: ((event: AgentEvent) => AgentReply | undefined) | undefined

  constructor(agent: string, connections: readonly number[] = [1]) {
    this.agent = agent
    this.live = [...connections]
  }

  lease(hints: LeaseHints): PooledConnection | Refusal {
    if (this.refusal !== undefined) return this.refusal
    this.bodyBytes += hints.bodyBytes ?? 0
    if (hints.pinnedTo !== 0) {
      return this.live.includes(hints.pinnedTo) ? this.#leased(hints.pinnedTo) : 'affinity-lost'
    }
    const id = this.live.find((candidate) => candidate !== hints.avoid) ?? this.live[0]
    return id === undefined ? 'unavailable' : this.#leased(id)
  }

  wait(waiter: LeaseWaiter): WeirError | undefined {
    if (this.waiters.length >= this.maxWaiters) return new WeirError('OVERLOADED', 'full', { sent: false })
    waiter.isWaiting = true
    this.waiters.push(waiter)
    return undefined
  }

  withdraw(waiter: LeaseWaiter): void {
    waiter.isWaiting = false
    this.waiters.splice(this.waiters.indexOf(waiter), 1)
  }

  /** Gives the first waiter a connection, as a release or a resume does. */
  wake(): void {
    const waiter = this.waiters.shift()!
    waiter.isWaiting = false
    waiter.onLeased(this.#leased(this.live[0]!))
  }

  readonly bypasses: BypassReason[] = []

  countBypass(reason: BypassReason): void {
    this.bypasses.push(reason)
  }

  find(connectionId: number): PooledConnection | undefined {
    return this.live.includes(connectionId) ? this.#connection(connectionId) : undefined
  }

  drain(): Promise<void> {
    return Promise.resolve()
  }

  /** Answers the oldest unanswered event. */
  reply(answer: Partial<AgentReply> = {}): void {
    const { pending } = this.sent.shift()!
    pending.onReply(reply(pending.correlationId, answer.decision ?? ALLOW, answer))
  }

  #leased(id: number): PooledConnection {
    this.leases++
    return this.#connection(id)
  }

  #connection(id: number): PooledConnection {
    const connection = {
      id,
      transport: 'uds',
      send: (event: AgentEvent, pending: PendingReply) => {
        if (this.brokenBeforeSending.has(id)) {
          this.live = this.live.filter((other) => other !== id)
          throw new WeirError('CONNECTION_LOST', 'the connection is closed', { sent: false })
        }
        if (this.#owed.has(`${id} ${event.correlationId}`))
          throw new WeirError('CONFLICT', 'a late reply of this request is still due', { sent: false })
        const answer = this.answer?.(event)
        if (answer !== undefined) queueMicrotask(() => pending.onReply(answer))
        else this.sent.push({ event, pending, connectionId: id })
      },
      abandon: (pending: PendingReply) => {
        const at = this.sent.findIndex((sent) => sent.pending === pending)
        if (at >= 0) this.sent.splice(at, 1)
        if (at >= 0) this.#owed.add(`${id} ${pending.correlationId}`)
        return at >= 0
      },
      cancel: (correlationId: string, reason: CancelReason) => {
        this.cancelled.push({ id: correlationId, reason, connectionId: id })
      },
    } as unknown as Connection
    return {
      id,
      connection,
      inFlight: 1,
      timeoutMultiplier: this.timeoutMultiplier,
      pin: () => void this.pins++,
      unpin: () => void this.pins--,
      takesAhead: () => this.takesAhead,
      release: (outcome, _latencyMs, lease) => {
        this.leases--
        this.bodyBytes -= lease?.bodyBytes ?? 0
        this.released.push(outcome)
      },
    }
  }
}
