import type {
  AgentCapabilities,
  AgentFeatures,
  AgentLimits,
  CancelReason,
  FlowSignal,
  HealthReport,
} from '../../src/core/agent-messages.ts'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../../src/core/agent-messages.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { AgentEvent } from '../../src/core/event.ts'
import { plainAllow } from '../../src/core/reply.ts'
import type {
  Connection,
  ConnectionObserver,
  Dialer,
  PendingReply,
  TransportName,
} from '../../src/transport/connection.ts'

let lastId = 0

export interface FakeConnectionOptions {
  readonly transport?: TransportName
  readonly isExclusive?: boolean
  readonly features?: Partial<AgentFeatures>
  readonly maxConcurrency?: number
  readonly limits?: Partial<AgentLimits>
}

/** What {@link FakeConnection.transitionTo} can bring about from outside. */
export type FakeTransition = 'closed' | 'unwritable' | 'writable'

/**
 * A connection in memory that keeps the contract of `Connection` to the letter, for schedules that sockets
 * cannot produce. The test plays the agent.
 */
export class FakeConnection implements Connection {
  readonly id = ++lastId
  readonly transport: TransportName
  readonly peer: string
  readonly capabilities: AgentCapabilities
  readonly isExclusive: boolean
  isClosed = false
  isWritable = true
  isGathering = false
  /** Answers to pings: round trip in milliseconds, or never. */
  answersPings = true
  /** Whether `close` ends; a stuck peer never lets it. */
  closes = true
  pings = 0
  readonly sent: AgentEvent[] = []
  readonly cancelled: { readonly correlationId: string; readonly reason: CancelReason }[] = []
  readonly configured: { readonly config: unknown; readonly version: string | undefined }[] = []
  /** Whether `configure` is answered at once; else by {@link answerConfig}. */
  answersConfig = true
  /** Rejects the next configure with this. */
  refusesConfig: WeirError | undefined
  #observer: ConnectionObserver | undefined
  #pendings: PendingReply[] = []

  constructor(peer = 'fake:1', options: FakeConnectionOptions = {}) {
    this.peer = peer
    this.transport = options.transport ?? 'grpc'
    this.isExclusive = options.isExclusive ?? false
    this.capabilities = {
      protocolVersion: 2,
      agentId: 'fake',
      name: 'fake',
      version: '1',
      supportedEvents: ['request-headers'],
      features: { ...DEFAULT_FEATURES, ...options.features },
      limits: { ...DEFAULT_LIMITS, maxConcurrency: options.maxConcurrency ?? 0, ...options.limits },
      health: DEFAULT_HEALTH_REPORTING,
    }
  }

  get pendingCount(): number {
    return this.#pendings.length
  }

  observe(observer: ConnectionObserver): void {
    if (this.#observer !== undefined) throw new Error('observed twice')
    this.#observer = observer
  }

  send(event: AgentEvent, pending: PendingReply): void {
    if (this.isClosed) throw new WeirError('CONNECTION_LOST', 'closed', { sent: false })
    if (this.isExclusive && this.#pendings.length > 0)
      throw new Error('exclusive: second send before the reply')
    this.sent.push(event)
    this.#pendings.push(pending)
  }

  abandon(pending: PendingReply): boolean {
    const index = this.#pendings.indexOf(pending)
    if (index >= 0) this.#pendings.splice(index, 1)
    return index >= 0
  }

  cancel(correlationId: string, reason: CancelReason): void {
    this.cancelled.push({ correlationId, reason })
  }

  ping(): Promise<number> {
    this.pings++
    if (this.answersPings) return Promise.resolve(1)
    return Promise.reject(new WeirError('TIMEOUT', 'no pong'))
  }

  configure(config: unknown, version: string | undefined): Promise<void> {
    this.configured.push({ config, version })
    const refusal = this.refusesConfig
    this.refusesConfig = undefined
    if (!this.answersConfig)
      return new Promise((resolve, reject) => {
        this.answerConfig = (error) => (error === undefined ? resolve() : reject(error))
      })
    return refusal === undefined ? Promise.resolve() : Promise.reject(refusal)
  }

  close(): Promise<void> {
    if (!this.closes) return new Promise(() => undefined)
    this.destroy(new WeirError('CONNECTION_LOST', 'closed by us'))
    return Promise.resolve()
  }

  destroy(reason: WeirError): void {
    if (this.isClosed) return
    this.isClosed = true
    this.isWritable = false
    const lost = this.#pendings
    this.#pendings = []
    for (const pending of lost) pending.onLost(reason)
    this.#observer?.onClosed(reason)
  }

  /* What the agent and the network do. */

  /** Acknowledges the configuration under way, or fails it. */
  answerConfig: (error?: WeirError) => void = () => undefined

  transitionTo(state: FakeTransition): void {
    switch (state) {
      case 'closed':
        this.destroy(new WeirError('CONNECTION_LOST', 'connection reset by peer'))
        return
      case 'unwritable':
        this.isWritable = false
        return
      case 'writable':
        this.isWritable = true
        this.#observer?.onWritable()
    }
  }

  /** Answers the oldest event of this id, or of any; false when none waits. */
  reply(correlationId?: string): boolean {
    const index = this.#pendings.findIndex(
      (one) => correlationId === undefined || one.correlationId === correlationId,
    )
    const [pending] = index < 0 ? [] : this.#pendings.splice(index, 1)
    if (pending === undefined) {
      this.#observer?.onStrayReply(correlationId ?? '')
      return false
    }
    pending.onReply(plainAllow(pending.correlationId))
    return true
  }

  flow(action: FlowSignal['action'], correlationId?: string, bufferAvailable?: number): void {
    this.#observer?.onFlow({ action, correlationId, bufferAvailable, timestampMs: 0 })
  }

  health(report: Partial<HealthReport>): void {
    this.#observer?.onHealth({ agentId: 'fake', state: 'healthy', timestampMs: 0, ...report })
  }

  /** The agent's other messages reach the pool through here. */
  get observer(): ConnectionObserver {
    if (this.#observer === undefined) throw new Error('nobody observes')
    return this.#observer
  }
}

interface Dial {
  readonly signal: AbortSignal
  readonly succeed: (connection?: FakeConnection) => FakeConnection
  readonly fail: (error?: WeirError) => void
}

/** A dialer whose attempts the test ends one by one, or at once by `answer`. */
export class FakeDialer implements Dialer {
  readonly endpoint: string
  /** Every attempt so far; `waiting` are those not ended yet. */
  attempts = 0
  readonly waiting: Dial[] = []
  readonly connections: FakeConnection[] = []
  /** What happens to new attempts. */
  answer: 'succeed' | 'fail' | 'hang' = 'succeed'
  options: FakeConnectionOptions

  constructor(endpoint = 'fake:1', options: FakeConnectionOptions = {}) {
    this.endpoint = endpoint
    this.options = options
  }

  get alive(): FakeConnection[] {
    return this.connections.filter((connection) => !connection.isClosed)
  }

  dial(signal: AbortSignal): Promise<Connection> {
    this.attempts++
    return new Promise<Connection>((resolve, reject) => {
      const succeed = (connection = new FakeConnection(this.endpoint, this.options)): FakeConnection => {
        this.#forget(dial)
        this.connections.push(connection)
        resolve(connection)
        return connection
      }
      const fail = (error = new WeirError('UNAVAILABLE', 'connection refused', { sent: false })): void => {
        this.#forget(dial)
        reject(error)
      }
      const dial: Dial = { signal, succeed, fail }
      if (this.answer === 'hang') this.waiting.push(dial)
      else if (this.answer === 'succeed') succeed()
      else fail()
    })
  }

  #forget(dial: Dial): void {
    const index = this.waiting.indexOf(dial)
    if (index >= 0) this.waiting.splice(index, 1)
  }
}

/** Lets promises settle: dials of a {@link FakeDialer} end within. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.resolve()
}
