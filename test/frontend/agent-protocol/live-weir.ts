import type { TestContext } from 'node:test'
import { systemClock } from '../../../src/core/clock.ts'
import type { Probe } from '../../../src/core/probe.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { TimerWheel } from '../../../src/core/timer-wheel.ts'
import { AgentProtocolFrontEnd } from '../../../src/frontend/agent-protocol/front-end.ts'
import { ConnectionPool } from '../../../src/pool/connection-pool.ts'
import { poolSettings } from '../../../src/pool/pool-options.ts'
import { AgentDispatcher } from '../../../src/proxy/agent-dispatcher.ts'
import type { AgentPolicy, ChainAgent } from '../../../src/proxy/agent-policy.ts'
import { AgentChain } from '../../../src/proxy/chain.ts'
import type { Dialer } from '../../../src/transport/connection.ts'
import { policy } from '../../proxy/harness.ts'
import { eventually } from '../../support/eventually.ts'

export interface LiveAgent {
  readonly dialer: () => Dialer
  readonly policy?: Partial<AgentPolicy>
}

export interface LiveWeir {
  readonly frontEnd: AgentProtocolFrontEnd
  readonly dispatcher: AgentDispatcher
}

/** The front end over the real dispatcher, pools and transports: no part of the path is replaced. */
export async function liveWeir(
  t: TestContext,
  agents: Readonly<Record<string, LiveAgent>>,
  routes: Readonly<Record<string, readonly string[]>>,
  hosts: Readonly<Record<string, string>> = {},
): Promise<LiveWeir> {
  let opened = 0
  const probe: Probe = { connectionOpened: () => void opened++ }
  const around = { clock: systemClock, random: seededRandom(7), probe }
  const settings = poolSettings({ connections: 2, maxConcurrentPerConnection: 1000, slowStartMs: 0 })
  const pools = new Map<string, ConnectionPool>()
  const members = new Map<string, ChainAgent>()
  for (const [agent, { dialer, policy: parts }] of Object.entries(agents)) {
    const pool = new ConnectionPool({ agent, settings, around, nextDialer: dialer })
    pools.set(agent, pool)
    members.set(agent, { policy: policy(agent, { timeoutMs: 5000, ...parts }), pool })
    pool.start()
  }
  const wheel = new TimerWheel(systemClock)
  const dispatcher = new AgentDispatcher({ clock: systemClock, wheel, probe, limits: undefined })
  const chains = Object.entries(routes).map(
    ([name, names]) =>
      new AgentChain(
        name,
        names.map((agent) => members.get(agent)!),
      ),
  )
  const named = (name: string): AgentChain | undefined => chains.find((chain) => chain.name === name)
  const frontEnd = new AgentProtocolFrontEnd({
    dispatcher,
    chains: { all: chains, named, forRequest: (host) => named(hosts[host] ?? ''), fallback: undefined },
    clock: systemClock,
    probe,
    version: '0.1.0',
  })
  t.after(async () => {
    await frontEnd.drain(0)
    await Promise.all([...pools.values()].map((pool) => pool.drain(systemClock.now() + 1000)))
    wheel.close()
  })
  await eventually('every pool is full', () => opened === 2 * pools.size)
  return { frontEnd, dispatcher }
}
