import { type Clock, systemClock } from '../core/clock.ts'
import type { Probe } from '../core/probe.ts'
import type { AgentEndOptions } from '../transport/proxy-link.ts'
import type { Agent } from './agent.ts'
import { checkAgent } from './agent-check.ts'
import type { AgentOptions } from './agent-options.ts'
import type { AgentRequest } from './agent-request.ts'
import { AgentResponder, type LinkHooks } from './agent-responder.ts'
import { capabilitiesOf } from './capabilities.ts'
import { EventServer } from './event-server.ts'
import { type Reach, RunningAgent } from './running-agent.ts'
import { stderrProbe } from './stderr-probe.ts'

/** An agent's handlers made ready to be put behind a listener or a dialer. */
export interface AgentEnd {
  readonly agentId: string
  readonly clock: Clock
  readonly probe: Probe
  /** For the transport. */
  readonly options: AgentEndOptions
  /** Makes the handle that the author gets. Once, when the transport is up. */
  run(reach: Reach): RunningAgent
}

/**
 * Composes the parts that serve one agent. `hooks` hears of links before any of their events.
 * @throws WeirError INVALID_ARGUMENT for an agent that cannot be meant
 */
export function agentEnd<S extends object>(
  agent: Agent<S>,
  options: AgentOptions,
  hooks: Pick<LinkHooks, 'closed'> = {},
): AgentEnd {
  checkAgent(agent)
  const clock = options.clock ?? systemClock
  const probe = options.probe ?? stderrProbe
  const healthIntervalMs = options.healthIntervalMs ?? 0
  const capabilities = capabilitiesOf(agent, {
    maxConcurrency: options.maxConcurrency ?? 1000,
    maxBodySize: options.maxBodySize,
    healthIntervalMs,
  })
  const { agentId } = capabilities
  let running: RunningAgent | undefined
  const linkHooks: LinkHooks = { opened: (link) => running?.greet(link), closed: hooks.closed }
  const responder = new AgentResponder(agent, probe, clock, linkHooks)
  const server = new EventServer<AgentRequest<S>>(responder, {
    clock,
    maxRequests: options.maxRequests,
    idleTtlMs: options.requestIdleTtlMs,
  })
  responder.attach(server)
  return {
    agentId,
    clock,
    probe,
    options: {
      capabilities: () => capabilities,
      handler: server,
      reusesBodyMemory: options.reuseBodyMemory === true,
    },
    run(reach) {
      running = new RunningAgent({ agentId, clock, server, healthIntervalMs, ...reach })
      return running
    },
  }
}
