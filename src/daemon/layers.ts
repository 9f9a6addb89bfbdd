import { systemClock } from '../core/clock.ts'
import { TimerWheel } from '../core/timer-wheel.ts'
import type { LayerName } from '../proxy/layer.ts'
import { NO_LIMITS } from '../proxy/limits/limit-gate.ts'
import { buildPipeline, layerNames } from '../proxy/pipeline.ts'
import { policyOf } from './agents/settings.ts'
import type { Config } from './config/config.ts'

/** The layers around a call to each agent, outermost first, as the running daemon builds them. */
export function layersOf(
  config: Config,
): readonly { readonly agent: string; readonly layers: readonly LayerName[] }[] {
  const parts = {
    clock: systemClock,
    wheel: new TimerWheel(systemClock),
    /* Metrics always watch calls and bypasses. */
    probe: { agentCall: () => undefined },
    limits: NO_LIMITS,
  }
  return config.agents.map((agent) => ({
    agent: agent.name,
    layers: layerNames(buildPipeline(policyOf(agent), parts)),
  }))
}
