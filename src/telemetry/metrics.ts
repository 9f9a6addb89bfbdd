import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { Probe } from '../core/probe.ts'
import type { AgentSeries } from '../pool/agent-metrics.ts'
import type { LimiterStats } from '../proxy/limits/limiter-stats.ts'
import type { StoreHealth } from '../store/store.ts'
import { renderAgentSeries } from './agent-series.ts'
import { DurationHistogram } from './duration-histogram.ts'
import { registerLimitSeries } from './limit-series.ts'
import { type LoadFacts, registerLoadSeries } from './load-series.ts'
import { type AgentGauges, registerPoolSeries } from './pool-series.ts'
import { registerStoreSeries } from './store-series.ts'

/** State of the pools and limits at the time of a scrape. */
export interface MetricsSource {
  agents(): Iterable<AgentGauges>
  /** What agents report of themselves. */
  reported(): Iterable<AgentSeries>
  /** Undefined while there is no limiter yet. */
  limits?(): LimiterStats | undefined
  /** Undefined while there is no store yet. */
  store?(): StoreHealth | undefined
  /** Undefined while nothing is measured yet. */
  load?(): LoadFacts | undefined
}

export interface MetricsOptions {
  readonly version: string
  readonly source: MetricsSource
  /** CPU, memory, event loop and garbage collection of the process. Default true. */
  readonly processMetrics?: boolean
}

/** Prometheus metrics. Labels are bounded: configured names and closed sets, never an id, a path or a client. */
export interface Metrics {
  readonly probe: Probe
  readonly contentType: string
  render(): Promise<string>
  configReloaded(isSuccess: boolean, wallMs: number): void
  /** Drops the series of an agent that is no longer configured. */
  forget(agent: string): Promise<void>
}

const BREAKER_VALUE = { closed: 0, 'half-open': 1, open: 2 } as const

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  const registers = [registry]
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry })

  const callSeconds = new DurationHistogram(
    'weir_agent_call_duration_seconds',
    'Time from handing an event to an agent to its settled outcome, waiting included.',
    ['agent', 'phase', 'transport', 'outcome'],
  )
  const queueSeconds = new DurationHistogram(
    'weir_agent_queue_duration_seconds',
    'Time an event waited for a free connection.',
    ['agent'],
  )
  const requestSeconds = new DurationHistogram(
    'weir_request_duration_seconds',
    'Time a request took as its front end saw it.',
    ['route', 'decision'],
  )
  const durations = [callSeconds, queueSeconds, requestSeconds]
  const bypasses = new Counter({
    name: 'weir_bypass_total',
    help: 'Events an agent was not asked about, or whose failure was let pass, by reason.',
    labelNames: ['agent', 'phase', 'reason'] as const,
    registers,
  })
  const opened = new Counter({
    name: 'weir_connections_opened_total',
    help: 'Connections that became ready.',
    labelNames: ['agent', 'transport'] as const,
    registers,
  })
  const closed = new Counter({
    name: 'weir_connections_closed_total',
    help: 'Connections that ended.',
    labelNames: ['agent'] as const,
    registers,
  })
  const dialFailures = new Counter({
    name: 'weir_dial_failures_total',
    help: 'Dials that did not lead to a connection.',
    labelNames: ['agent'] as const,
    registers,
  })
  const breaker = new Gauge({
    name: 'weir_breaker_state',
    help: '0 closed, 1 half open, 2 open.',
    labelNames: ['agent'] as const,
    registers,
  })
  const stray = new Counter({
    name: 'weir_stray_replies_total',
    help: 'Replies that nobody waited for: late, duplicate or invented.',
    labelNames: ['agent'] as const,
    registers,
  })
  const reloadSuccess = new Gauge({
    name: 'weir_config_last_reload_successful',
    help: '1 when the last configuration that was read is in force, 0 when it was refused.',
    registers,
  })
  const reloadTime = new Gauge({
    name: 'weir_config_last_reload_success_timestamp_seconds',
    help: 'When the configuration in force was read.',
    registers,
  })
  new Gauge({
    name: 'weir_build_info',
    help: 'Always 1; the version is a label.',
    labelNames: ['version', 'node'] as const,
    registers,
  }).set({ version: options.version, node: process.version }, 1)
  let pools: readonly AgentGauges[] = []
  registerPoolSeries(registry, () => pools)
  registerLimitSeries(registry, () => options.source.limits?.())
  registerLoadSeries(registry, () => options.source.load?.())
  registerStoreSeries(registry, () => options.source.store?.())

  return {
    contentType: registry.contentType,
    async render() {
      /* Once per scrape: each look at a pool copies its whole state. */
      pools = [...options.source.agents()]
      return (
        durations.map((histogram) => histogram.render()).join('') +
        (await registry.metrics()) +
        renderAgentSeries(options.source.reported())
      )
    },
    configReloaded(isSuccess, wallMs) {
      reloadSuccess.set(isSuccess ? 1 : 0)
      if (isSuccess) reloadTime.set(wallMs / 1000)
    },
    async forget(agent) {
      callSeconds.forget(agent)
      queueSeconds.forget(agent)
      for (const metric of [bypasses, opened, closed, dialFailures, breaker, stray])
        await removeAgent(metric, agent)
    },
    probe: {
      agentCall({ agent, phase, transport, outcome, durationMs, queueMs }) {
        callSeconds.series(agent, phase, transport, outcome).observe(durationMs / 1000)
        if (queueMs > 0) queueSeconds.series(agent).observe(queueMs / 1000)
      },
      requestDone({ route, decision, durationMs }) {
        requestSeconds.series(route, decision).observe(durationMs / 1000)
      },
      bypass: (agent, phase, reason) => bypasses.inc({ agent, phase, reason }),
      connectionOpened: (agent, _, transport) => opened.inc({ agent, transport }),
      connectionClosed: (agent) => closed.inc({ agent }),
      dialFailed: (agent) => dialFailures.inc({ agent }),
      breakerChanged: (agent, state) => breaker.set({ agent }, BREAKER_VALUE[state]),
      strayReply: (agent) => stray.inc({ agent }),
    },
  }
}

/** What prom-client metrics share; their label types differ. */
interface LabelledMetric {
  get(): Promise<{ readonly values: readonly { readonly labels: SeriesLabels }[] }>
  remove(labels: SeriesLabels): void
}
interface SeriesLabels {
  readonly agent?: string | number
}

async function removeAgent(metric: unknown, agent: string): Promise<void> {
  const labelled = metric as LabelledMetric
  for (const { labels } of (await labelled.get()).values) {
    if (labels.agent !== agent) continue
    labelled.remove(labels)
  }
}
