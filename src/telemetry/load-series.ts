import { Counter, Gauge, type Registry } from 'prom-client'
import { scrapedSeries } from './scraped-series.ts'

/** What the process measures of its own load, and what it makes of it. */
export interface LoadFacts {
  /** Smoothed over about a second, like the next two. */
  readonly loopLagMs: number
  /** Share of the time in which the event loop was busy, 0..1. */
  readonly utilization: number
  readonly queueMs: number
  readonly cpuCores: number
  /** Load against its targets; 1 is as much as is wanted. */
  readonly pressure: number
  readonly state: 'calm' | 'steady' | 'pressed'
  /** Absent: nothing limits requests. */
  readonly requests:
    | { readonly inFlight: number; readonly limit: number; readonly refused: number }
    | undefined
  readonly checkpointBatch: number
}

const STATES = ['calm', 'steady', 'pressed'] as const

/** Measured load, read at each scrape. Undefined while nothing was measured yet: the series are then absent. */
export function registerLoadSeries(registry: Registry, facts: () => LoadFacts | undefined): void {
  const registers = [registry]

  const { gauge } = scrapedSeries(registry, facts)
  gauge(
    'weir_load_event_loop_lag_seconds',
    'How late timers run, 95th percentile, smoothed over about a second.',
    (now) => now.loopLagMs / 1000,
  )
  gauge(
    'weir_load_event_loop_utilization_ratio',
    'Share of the time in which the event loop is busy, smoothed over about a second.',
    (now) => now.utilization,
  )
  gauge('weir_load_cpu_cores', 'Cores that the process uses, all its threads.', (now) => now.cpuCores)
  gauge(
    'weir_load_queue_seconds',
    'Wait for a connection that no agent is spared (90th percentile of the agent that waits least), smoothed over about a second; measured while requests are limited.',
    (now) => (now.requests === undefined ? undefined : now.queueMs / 1000),
  )
  gauge('weir_load_pressure_ratio', 'Load against its targets; above 1 limits shrink.', (now) => now.pressure)
  gauge('weir_load_requests_in_flight', 'Requests at agents, while they are limited.', (now) => {
    return now.requests?.inFlight
  })
  gauge('weir_load_requests_limit', 'Requests at agents that measured load allows.', (now) => {
    return now.requests?.limit
  })
  gauge('weir_load_checkpoint_batch', 'Buckets that one slice of a checkpoint holds at most.', (now) => {
    return now.checkpointBatch
  })
  new Counter({
    name: 'weir_load_refused_total',
    help: 'Requests refused because the process was loaded beyond its targets.',
    registers,
    collect() {
      this.reset()
      this.inc(facts()?.requests?.refused ?? 0)
    },
  })
  new Gauge({
    name: 'weir_load_state',
    help: '1 for the state that limits are in: calm (may grow), steady (hold), pressed (shrink).',
    labelNames: ['state'] as const,
    registers,
    collect() {
      this.reset()
      const now = facts()
      if (now === undefined) return
      for (const state of STATES) this.set({ state }, Number(now.state === state))
    },
  })
}
