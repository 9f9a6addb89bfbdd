import { makePool } from '../../pool/make-pool.ts'
import type { ManagedPool } from '../../pool/managed-pool.ts'
import type { PoolSurroundings } from '../../pool/pool-options.ts'
import type { AgentConfig } from '../config/config.ts'
import { configVersion } from './config-version.ts'
import { agentDialer } from './dialer.ts'
import { poolSettingsOf } from './settings.ts'

/** A pool for an agent; breaker, sessions and counters go on from the one it takes over from. */
export function newPool(
  agent: AgentConfig,
  around: PoolSurroundings,
  successorOf: ManagedPool | undefined,
): ManagedPool {
  const { origin } = agent
  let dials = 0
  const rotation = (): number => dials++
  return makePool({
    agent: agent.name,
    settings: poolSettingsOf(agent),
    around,
    config: { config: agent.config, version: configVersion(agent.config) },
    nextDialer:
      origin.kind === 'dialed'
        ? (setup) => agentDialer(agent, origin, setup, around.clock, rotation)
        : undefined,
    isExclusive: origin.kind === 'dialed' && origin.endpoint.kind === 'v1',
    successorOf,
  })
}
