import type { Clock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { TimerWheel } from '../core/timer-wheel.ts'
import { type AgentPolicy, getsSeveralEvents } from './agent-policy.ts'
import { type Layer, type LayerName, type Pipeline, pipelineOf } from './layer.ts'
import { acquireLayer } from './layers/acquire.ts'
import { affinityLayer } from './layers/affinity.ts'
import { deadlineLayer } from './layers/deadline.ts'
import { failoverLayer } from './layers/failover.ts'
import { failureModeLayer } from './layers/failure-mode.ts'
import { hedgeLayer } from './layers/hedge.ts'
import { limitLayer } from './layers/limit.ts'
import { overloadLayer } from './layers/overload.ts'
import { sendLayer } from './layers/send.ts'
import { traceLayer } from './layers/trace.ts'
import type { ConcurrencyGate } from './limits/concurrency-gate.ts'
import type { LimitGate } from './limits/limit-gate.ts'

/** What the layers need from outside. */
export interface PipelineParts {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly probe: Probe
  /** Undefined: nothing is limited or banned. */
  readonly limits: LimitGate | undefined
  /** Absent: measured load limits nothing. */
  readonly overload?: ConcurrencyGate | undefined
  /** Milliseconds a request may sit idle before its pins no longer hold. Default 300,000, the protocol's. */
  readonly affinityIdleTtlMs?: number
}

const DEFAULT_AFFINITY_IDLE_TTL_MS = 300_000

/** The layers around a call to one agent, outermost first; those with nothing to do for it are left out. */
export function buildPipeline(policy: AgentPolicy, parts: PipelineParts): Pipeline {
  const { clock, wheel, probe, limits } = parts
  const watched = probe.agentCall !== undefined || probe.bypass !== undefined
  const inner = [acquireLayer(wheel, clock), sendLayer]
  const layers: readonly (Layer | undefined)[] = [
    deadlineLayer(wheel),
    watched ? traceLayer(probe, clock) : undefined,
    failureModeLayer,
    parts.overload === undefined ? undefined : overloadLayer(parts.overload),
    limits === undefined ? undefined : limitLayer(limits),
    getsSeveralEvents(policy)
      ? affinityLayer(clock, parts.affinityIdleTtlMs ?? DEFAULT_AFFINITY_IDLE_TTL_MS)
      : undefined,
    policy.hedgeAfterMs === undefined ? undefined : hedgeLayer(wheel, clock, inner),
    failoverLayer,
    ...inner,
  ]
  return pipelineOf(layers.filter((layer) => layer !== undefined))
}

/** Names in order, for `weir config show --layers`. */
export function layerNames(pipeline: Pipeline): readonly LayerName[] {
  return pipeline.map(({ name }) => name)
}
