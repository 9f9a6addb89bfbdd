import { type Clock, systemClock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'
import { type Random, systemRandom } from '../core/random.ts'
import { VERSION } from '../core/version.ts'
import { fanOut } from '../telemetry/fan-out.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import { createTraces } from '../telemetry/traces.ts'
import { AgentNotes } from './agents/agent-notes.ts'
import { AgentSet } from './agents/agent-set.ts'
import type { Config } from './config/config.ts'
import { MeasuredLoad } from './measured-load.ts'
import { openStorage, type Storage } from './storage.ts'

/** What a system is made of before anything listens. */
export interface SystemParts {
  readonly clock: Clock
  readonly probe: Probe
  readonly metrics: Metrics
  readonly storage: Storage
  readonly load: MeasuredLoad
  readonly agents: AgentSet
  readonly notes: AgentNotes
}

export interface PartsOptions {
  readonly log: Log
  readonly onReloadRequested: () => void
  readonly clock?: Clock
  readonly random?: Random
}

/** @throws WeirError STORAGE when the file cannot be used */
export async function makeParts(config: Config, options: PartsOptions): Promise<SystemParts> {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  /* Telemetry watches the agents, and they need it to be watched: whoever is made first sees nothing yet. */
  let agents: AgentSet | undefined
  let storage: Storage | undefined
  let load: MeasuredLoad | undefined
  const pools = () => [...(agents?.registry ?? [])]
  const metrics = createMetrics({
    version: VERSION,
    source: {
      agents: () =>
        pools().map((pool) => {
          const snapshot = pool.snapshot()
          return { ...snapshot, connections: snapshot.active, availableConnections: snapshot.available }
        }),
      limits: () => storage?.limiter.stats,
      store: () => storage?.store.health,
      load: () => load?.facts,
      reported: () => pools().flatMap((pool) => pool.metrics.list(clock.now())),
    },
  })
  const onError = (error: unknown): void =>
    options.log.probe.notice?.('error', `an internal error was survived: ${WeirError.from(error).message}`, {
      stack: error instanceof Error ? error.stack : undefined,
    })
  const traces = createTraces(VERSION, clock)
  const notes = new AgentNotes()
  const probes = [options.log.probe, metrics.probe, notes.probe]
  const probe = fanOut(traces === undefined ? probes : [...probes, traces], onError)
  const sessionTtlMs = (agent: string): number =>
    (agents?.entries.get(agent)?.config ?? config.agents.find(({ name }) => name === agent))?.sessions
      .idleTtlMs ?? 0
  storage = await openStorage(config.storage, clock, probe, sessionTtlMs)
  load = new MeasuredLoad(config.overload, config.storage, storage.limiter, clock)
  agents = new AgentSet(
    { clock, random, probe, sessionStore: storage.sessions, onReloadRequested: options.onReloadRequested },
    config.drainTimeoutMs,
    onError,
  )
  return { clock, probe, metrics, storage, load, agents, notes }
}
