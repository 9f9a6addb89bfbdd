import type {
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../../src/core/agent-messages.ts'
import { WeirError } from '../../../src/core/errors.ts'
import type { AgentEvent } from '../../../src/core/event.ts'
import type { AgentReply } from '../../../src/core/reply.ts'
import type { Connection, ConnectionObserver, PendingReply } from '../../../src/transport/connection.ts'

/** Everything a connection tells its owner. */
export class Observed implements ConnectionObserver {
  readonly closed: WeirError[] = []
  readonly health: HealthReport[] = []
  readonly flow: FlowSignal[] = []
  readonly metrics: MetricsReport[] = []
  readonly logs: LogMessage[] = []
  readonly updates: ConfigUpdateRequest[] = []
  readonly strays: string[] = []
  writable = 0
  retiring = 0

  onClosed(reason: WeirError): void {
    this.closed.push(reason)
  }
  onRetiring(): void {
    this.retiring++
  }
  onHealth(report: HealthReport): void {
    this.health.push(report)
  }
  onFlow(signal: FlowSignal): void {
    this.flow.push(signal)
  }
  onMetrics(report: MetricsReport): void {
    this.metrics.push(report)
  }
  onLog(message: LogMessage): void {
    this.logs.push(message)
  }
  onConfigUpdate(request: ConfigUpdateRequest): void {
    this.updates.push(request)
  }
  onStrayReply(correlationId: string): void {
    this.strays.push(correlationId)
  }
  onWritable(): void {
    this.writable++
  }
}

/** One event under way, with its outcome as a promise. Fails when it is settled twice. */
export class Asked implements PendingReply {
  readonly correlationId: string
  nextSameId: PendingReply | null = null
  readonly outcome: Promise<AgentReply>
  settled = 0
  #resolve: (reply: AgentReply) => void = () => {}
  #reject: (error: WeirError) => void = () => {}

  constructor(correlationId: string) {
    this.correlationId = correlationId
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.outcome.catch(() => {})
  }

  onReply(reply: AgentReply): void {
    this.settled++
    this.#resolve(reply)
  }

  onLost(error: WeirError): void {
    this.settled++
    this.#reject(error)
  }
}

/** Sends an event and returns what waits for its reply. */
export function ask(connection: Connection, event: AgentEvent): Asked {
  const asked = new Asked(event.correlationId)
  connection.send(event, asked)
  return asked
}

/** The WeirError that a call throws or a promise rejects with. */
export async function failureOf(action: () => unknown): Promise<WeirError> {
  try {
    await action()
  } catch (error) {
    if (error instanceof WeirError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** Bounds a wait, so that a missing event is a failure and not a hanging run. */
export async function soon<T>(what: string, promise: Promise<T>, timeoutMs = 5000): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen within ${timeoutMs} ms: ${what}`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
