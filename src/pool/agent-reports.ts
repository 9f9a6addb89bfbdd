import type { ConfigUpdateRequest, HealthReport, LogMessage, MetricsReport } from '../core/agent-messages.ts'
import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { AgentMetrics } from './agent-metrics.ts'
import type { AgentWishes } from './agent-wishes.ts'
import type { LiveConnection } from './live-connection.ts'

export interface HeardReport {
  readonly report: HealthReport
  /** Clock milliseconds. */
  readonly heardAt: number
}

/** What an agent tells of itself beside its replies, and where it goes: metrics, logs, our operators. */
export class AgentReports {
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #metrics: AgentMetrics
  readonly #wishes: AgentWishes
  #last: HeardReport | undefined

  constructor(clock: Clock, probe: Probe, metrics: AgentMetrics, wishes: AgentWishes) {
    this.#clock = clock
    this.#probe = probe
    this.#metrics = metrics
    this.#wishes = wishes
  }

  /** The newest report of health, on whichever connection; undefined: none yet. */
  get last(): HeardReport | undefined {
    return this.#last
  }

  /** Every report of health. */
  heard(report: HealthReport, now: number): void {
    this.#last = { report, heardAt: now }
  }

  /** The agent says something else of itself than before. */
  health(live: LiveConnection, report: HealthReport): void {
    const { state, message, unhealthyReason } = report
    const why = [message, unhealthyReason === message ? '' : unhealthyReason].filter(isSaid).join(', ')
    const hopeless = state === 'unhealthy' && report.recoverable === false ? ' for good' : ''
    const lacks = report.disabledFeatures?.length ? `, without ${report.disabledFeatures.join(' ')}` : ''
    const eta = state === 'draining' && report.drainEtaMs ? `, gone in ${report.drainEtaMs} ms` : ''
    const said = `${state}${hopeless}${lacks}${eta}${why === '' ? '' : `: ${why}`}`
    const level = state === 'healthy' ? 'info' : 'warn'
    this.#probe.agentLog?.(live.agent, level, `connection ${live.id} reports ${said.slice(0, MAX_TEXT)}`)
  }

  metrics(report: MetricsReport): void {
    this.#metrics.take(report, this.#clock.now())
  }

  log(live: LiveConnection, { level, message }: LogMessage): void {
    this.#probe.agentLog?.(live.agent, level, message)
  }

  configUpdate(live: LiveConnection, request: ConfigUpdateRequest): void {
    this.#wishes.hear(live, request)
  }
}

const MAX_TEXT = 1024

function isSaid(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}
