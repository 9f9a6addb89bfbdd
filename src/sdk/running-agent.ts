import type {
  ConfigUpdate,
  FlowSignal,
  HealthReport,
  HealthState,
  LogMessage,
  MetricsReport,
} from '../core/agent-messages.ts'
import type { Clock, TimerHandle } from '../core/clock.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'
import type { EventServer } from './event-server.ts'
import type { ServedRequest } from './served-request.ts'

/** Milliseconds that a close waits for running handlers. */
const DRAIN_TIMEOUT_MS = 10_000
/** Milliseconds without an event after which a closing agent takes its proxies to be done with it. */
const LINGER_MS = 250

/** What an agent says of its own health. */
export interface HealthFacts {
  readonly state: Exclude<HealthState, 'draining'>
  readonly message?: string | undefined
  /** `degraded`: proxies may multiply their deadlines by this. */
  readonly timeoutMultiplier?: number | undefined
  readonly disabledFeatures?: readonly string[] | undefined
  /** `unhealthy`: it may recover by itself. */
  readonly recoverable?: boolean | undefined
}

/** How an agent is reached, and how that ends. */
export interface Reach {
  readonly address: string
  readonly port: number
  /** Called first when the agent closes: no more dialing. */
  readonly quiesce?: (() => void) | undefined
  /** Called last, when every link is closed: lets go of the address. */
  readonly release?: (() => Promise<void>) | undefined
}

export interface RunningAgentParts extends Reach {
  readonly agentId: string
  readonly clock: Clock
  readonly server: EventServer<ServedRequest>
  /** Milliseconds between health reports; 0: only when the state changes. */
  readonly healthIntervalMs: number
}

/** An agent at work: what it tells its proxies beside its answers. Everything goes to every link. */
export class RunningAgent {
  readonly #parts: RunningAgentParts
  #health: HealthFacts = { state: 'healthy' }
  #isPaused = false
  #requests = 0
  #beat: TimerHandle | undefined
  #closing: Promise<void> | undefined

  constructor(parts: RunningAgentParts) {
    this.#parts = parts
    if (parts.healthIntervalMs > 0) this.#scheduleBeat()
  }

  /** Where proxies reach the agent, with the real port; the proxy it dials where it dials in. */
  get address(): string {
    return this.#parts.address
  }

  /** 0 where there is none of its own: Unix sockets, and agents that dial in. */
  get port(): number {
    return this.#parts.port
  }

  /** Proxy connections that are up. */
  get links(): number {
    return this.#parts.server.links.length
  }

  /** Handlers that run now. */
  get inFlight(): number {
    return this.#parts.server.workload.inFlight
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Tells every proxy, and those that connect later, how well the agent is. */
  reportHealth(facts: HealthFacts): void {
    this.#health = facts
    this.#broadcast((link) => link.sendHealth(this.#healthReport()))
  }

  /** Asks every proxy to send no new events. Events on their way are still answered. */
  pause(): void {
    this.#isPaused = true
    this.#broadcast((link) => link.sendFlow(this.#flow('pause')))
  }

  resume(): void {
    this.#isPaused = false
    this.#broadcast((link) => link.sendFlow(this.#flow('resume')))
  }

  /** Hands a snapshot of the agent's metrics to every proxy. `intervalMs`: since the snapshot before. */
  sendMetrics(report: Pick<MetricsReport, 'intervalMs'> & Partial<MetricsReport>): void {
    const full: MetricsReport = {
      counters: [],
      gauges: [],
      histograms: [],
      ...report,
      agentId: this.#parts.agentId,
      timestampMs: this.#parts.clock.wallMs(),
    }
    this.#broadcast((link) => link.sendMetrics(full))
  }

  /** Writes to the proxies' logs. Only gRPC carries it. */
  log(
    level: LogMessage['level'],
    message: string,
    facts: Partial<Omit<LogMessage, 'level' | 'message'>> = {},
  ): void {
    const full = { fields: {}, timestampMs: this.#parts.clock.wallMs(), ...facts, level, message }
    this.#broadcast((link) => link.sendLog(full))
  }

  /** Asks every proxy to send the agent's configuration again. */
  requestConfigReload(): void {
    this.sendConfigUpdate({ type: 'request-reload' })
  }

  /** Asks every proxy to take on a change. Returns the id of the request. */
  sendConfigUpdate(update: ConfigUpdate): string {
    const requestId = `${this.#parts.agentId}-${++this.#requests}`
    const timestampMs = this.#parts.clock.wallMs()
    this.#broadcast((link) => link.sendConfigUpdate({ requestId, timestampMs, update }))
    return requestId
  }

  /**
   * Reports `draining`, takes no new links, goes on answering until nothing runs and the proxies have been silent for a
   * quarter of a second or have left (default at most 10 s), and closes. Twice: the same promise.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? DRAIN_TIMEOUT_MS)
    return this.#closing
  }

  /** A new link learns what the others were told. */
  greet(link: ProxyLink): void {
    if (this.#health.state !== 'healthy' || this.#parts.healthIntervalMs > 0)
      link.sendHealth(this.#healthReport())
    if (this.#isPaused) link.sendFlow(this.#flow('pause'))
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#beat?.cancel()
    this.#parts.quiesce?.()
    this.#broadcast((link) => link.sendHealth(this.#healthReport(timeoutMs)))
    await this.#parts.server.drain(timeoutMs, LINGER_MS)
    await this.#parts.server.close()
    await this.#parts.release?.()
  }

  #healthReport(drainEtaMs?: number): HealthReport {
    const { server, clock, agentId, healthIntervalMs } = this.#parts
    const timestampMs = clock.wallMs()
    const facts = this.#health
    return {
      agentId,
      state: drainEtaMs === undefined ? facts.state : 'draining',
      message: facts.message,
      load: server.workload.report(server.waiting),
      resources: undefined,
      /* Three beats: one may be lost to a stall without the report going stale. */
      validUntilMs: healthIntervalMs > 0 ? timestampMs + 3 * healthIntervalMs : undefined,
      timestampMs,
      disabledFeatures: facts.disabledFeatures,
      timeoutMultiplier: facts.timeoutMultiplier,
      drainEtaMs,
      unhealthyReason: facts.state === 'unhealthy' ? facts.message : undefined,
      recoverable: facts.recoverable,
    }
  }

  #flow(action: 'pause' | 'resume'): FlowSignal {
    return { action, timestampMs: this.#parts.clock.wallMs() }
  }

  #broadcast(tell: (link: ProxyLink) => void): void {
    for (const link of this.#parts.server.links) if (!link.isClosed) tell(link)
  }

  #scheduleBeat(): void {
    this.#beat = this.#parts.clock.setTimer(this.#parts.healthIntervalMs, () => {
      this.#broadcast((link) => link.sendHealth(this.#healthReport()))
      this.#scheduleBeat()
    })
  }
}
