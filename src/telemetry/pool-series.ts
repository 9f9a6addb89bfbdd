import { Counter, Gauge, type Registry } from 'prom-client'

/** What a pool is doing at the time of a scrape, and what happened in it since the start. */
export interface AgentGauges {
  readonly agent: string
  readonly connections: number
  readonly availableConnections: number
  readonly inFlight: number
  readonly waiting: number
  /** Bytes of body chunks sent and not answered. */
  readonly bodyBytesInFlight: number
  readonly pauses: number
  readonly resumes: number
  readonly flowRejections: number
  readonly overflows: number
  readonly retired: number
  readonly connectionErrors: number
}

/** Series that are read from the pools at each scrape, so that nobody has to keep them in step. */
export function registerPoolSeries(registry: Registry, agents: () => Iterable<AgentGauges>): void {
  const labels = { labelNames: ['agent'] as const, registers: [registry] }
  const gauge = (name: string, help: string, value: (facts: AgentGauges) => number): Gauge<'agent'> =>
    new Gauge({
      name,
      help,
      ...labels,
      collect() {
        this.reset()
        for (const facts of agents()) this.set({ agent: facts.agent }, value(facts))
      },
    })
  const total = (name: string, help: string, value: (facts: AgentGauges) => number): Counter<'agent'> =>
    new Counter({
      name,
      help,
      ...labels,
      collect() {
        this.reset()
        for (const facts of agents()) this.inc({ agent: facts.agent }, value(facts))
      },
    })
  gauge('weir_pool_connections', 'Live connections.', (facts) => facts.connections)
  gauge(
    'weir_pool_available_connections',
    'Connections that may be picked now.',
    (facts) => facts.availableConnections,
  )
  gauge('weir_in_flight', 'Events leased to a connection and not yet settled.', (facts) => facts.inFlight)
  gauge('weir_waiting', 'Events waiting for a connection.', (facts) => facts.waiting)
  gauge(
    'weir_body_bytes_in_flight',
    'Bytes of bodies sent to an agent and not yet answered.',
    (facts) => facts.bodyBytesInFlight,
  )
  total(
    'weir_agent_pauses_total',
    'Pauses an agent asked for, of connections and of bodies.',
    (facts) => facts.pauses,
  )
  total('weir_agent_resumes_total', 'Ends of such pauses.', (facts) => facts.resumes)
  total('weir_pause_refusals_total', 'Events that found an agent paused.', (facts) => facts.flowRejections)
  total(
    'weir_queue_overflows_total',
    'Events refused because too many waited already.',
    (facts) => facts.overflows,
  )
  total(
    'weir_connections_retired_total',
    'Connections replaced by age, use or configuration, or no longer wanted.',
    (facts) => facts.retired,
  )
  total(
    'weir_connection_losses_total',
    'Events whose connection ended before their answer.',
    (facts) => facts.connectionErrors,
  )
}
