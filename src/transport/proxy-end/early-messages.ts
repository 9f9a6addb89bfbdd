import type {
  ConfigUpdateRequest,
  FlowSignal,
  HealthReport,
  LogMessage,
  MetricsReport,
} from '../../core/agent-messages.ts'
import type { WeirError } from '../../core/errors.ts'
import type { ConnectionObserver } from '../connection.ts'

/** More than any agent says between its handshake and the end of its configuration. */
const MAX_KEPT = 256

/**
 * Stands in for the observer until there is one, so that what an agent says while it is being configured is
 * neither lost nor able to fill the memory: past the bound the oldest message goes.
 */
export class EarlyMessages implements ConnectionObserver {
  readonly #kept: ((observer: ConnectionObserver) => void)[] = []

  /** Tells everything again, in order. */
  replay(observer: ConnectionObserver): void {
    for (const tell of this.#kept.splice(0)) tell(observer)
  }

  onClosed(reason: WeirError): void {
    this.#keep((observer) => observer.onClosed(reason))
  }

  onRetiring(): void {
    this.#keep((observer) => observer.onRetiring())
  }

  onHealth(report: HealthReport): void {
    this.#keep((observer) => observer.onHealth(report))
  }

  onFlow(signal: FlowSignal): void {
    this.#keep((observer) => observer.onFlow(signal))
  }

  onMetrics(report: MetricsReport): void {
    this.#keep((observer) => observer.onMetrics(report))
  }

  onLog(message: LogMessage): void {
    this.#keep((observer) => observer.onLog(message))
  }

  onConfigUpdate(request: ConfigUpdateRequest): void {
    this.#keep((observer) => observer.onConfigUpdate(request))
  }

  onStrayReply(correlationId: string): void {
    this.#keep((observer) => observer.onStrayReply(correlationId))
  }

  /** Whoever comes to observe reads `isWritable` for itself. */
  onWritable(): void {}

  #keep(tell: (observer: ConnectionObserver) => void): void {
    if (this.#kept.length === MAX_KEPT) this.#kept.shift()
    this.#kept.push(tell)
  }
}
