import { systemClock } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import { agentDialer } from './agents/dialer.ts'
import { formatEndpoint } from './config/addresses.ts'
import type { AgentConfig, Config } from './config/config.ts'

/** What dialing one agent showed. */
export interface AgentCheck {
  readonly name: string
  readonly endpoint: string
  readonly isOk: boolean
  /** What the agent announces, or why it could not be reached. */
  readonly detail: string
}

/** Dials every agent that can be dialed, shakes hands, and hangs up. All at once. */
export function checkAgents(config: Config): Promise<readonly AgentCheck[]> {
  return Promise.all(config.agents.map(checkAgent))
}

async function checkAgent(agent: AgentConfig): Promise<AgentCheck> {
  const { name, origin } = agent
  if (origin.kind === 'reverse')
    return { name, endpoint: 'reverse', isOk: true, detail: 'dials in; cannot be checked from here' }
  const endpoint = formatEndpoint(origin.endpoint)
  try {
    const dialer = agentDialer(
      agent,
      origin,
      { config: agent.config, version: undefined },
      systemClock,
      () => 0,
    )
    const connection = await dialer.dial(new AbortController().signal)
    const { capabilities } = connection
    await connection.close()
    const events = capabilities.supportedEvents.join(', ') || 'none'
    const software = `${capabilities.name} ${capabilities.version}`.trim()
    return { name, endpoint, isOk: true, detail: `${software}; events: ${events}` }
  } catch (error) {
    return { name, endpoint, isOk: false, detail: WeirError.from(error).message }
  }
}
