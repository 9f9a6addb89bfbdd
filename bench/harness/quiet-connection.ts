import type { AgentCapabilities } from '../../src/core/agent-messages.ts'
import { DEFAULT_FEATURES, DEFAULT_HEALTH_REPORTING, DEFAULT_LIMITS } from '../../src/core/agent-messages.ts'
import type { WeirError } from '../../src/core/errors.ts'
import type { Connection, ConnectionObserver } from '../../src/transport/connection.ts'

const CAPABILITIES: AgentCapabilities = {
  protocolVersion: 2,
  agentId: 'quiet',
  name: 'quiet',
  version: '0',
  supportedEvents: ['request-headers'],
  features: DEFAULT_FEATURES,
  limits: { ...DEFAULT_LIMITS, maxConcurrency: 0 },
  health: DEFAULT_HEALTH_REPORTING,
}

let lastId = 0

/** A connection without a socket: what leasing costs beside it is the pool's alone. Events are never sent on it. */
export class QuietConnection implements Connection {
  readonly id = ++lastId
  readonly transport = 'reverse'
  readonly peer = `quiet:${this.id}`
  readonly capabilities = CAPABILITIES
  readonly isExclusive = false
  readonly isWritable = true
  readonly pendingCount = 0
  /** The strategy chooses for every event: nothing follows for free. */
  readonly isGathering = false
  isClosed = false
  #observer: ConnectionObserver | undefined

  observe(observer: ConnectionObserver): void {
    this.#observer = observer
  }

  /** The agent pauses all of this connection. */
  pause(): void {
    this.#observer!.onFlow({
      action: 'pause',
      correlationId: undefined,
      bufferAvailable: undefined,
      timestampMs: 0,
    })
  }

  send(): void {
    throw new Error('nothing is sent on a quiet connection')
  }

  abandon(): boolean {
    return false
  }

  cancel(): void {}

  ping(): Promise<number> {
    return Promise.resolve(0)
  }

  configure(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }

  destroy(reason: WeirError): void {
    this.isClosed = true
    this.#observer?.onClosed(reason)
  }
}
