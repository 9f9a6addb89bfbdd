import type { Operations } from '../../admin/operations.ts'
import type { PushedConnectionView, PushState, PushView } from '../../admin/views.ts'
import { WeirError } from '../../core/errors.ts'
import type { ConfigPush, ConfigPushEntry } from '../../pool/config-push.ts'
import type { AgentEntry } from '../agents/agent-set.ts'
import { configVersion } from '../agents/config-version.ts'
import type { WeirSystem } from '../system.ts'

/** The state of a whole push is that of its connection which stands first here. */
const GRAVITY: readonly PushState[] = [
  'pending',
  'refused',
  'failed',
  'expired',
  'replacing',
  'unsupported',
  'acknowledged',
  'replaced',
]

/** Configurations of agents: told again, and what became of each telling. */
export function pushOperations(system: WeirSystem): Pick<Operations, 'pushes' | 'push'> {
  const { agents } = system

  return {
    pushes(agent, limit) {
      const entries = agent === undefined ? [...agents.entries.values()] : [agents.entry(agent)]
      return entries
        .flatMap((entry) => entry.pool.configPushes.map((push) => ({ entry, push })))
        .sort((one, other) => other.push.startedAtMs - one.push.startedAtMs)
        .slice(0, limit)
        .map(({ entry, push }) => pushView(entry, push))
    },

    push(agent) {
      if (agent !== undefined) {
        const entry = agents.entry(agent)
        const why = obstacle(entry)
        if (why !== undefined) throw new WeirError('CONFLICT', `agent ${agent}: ${why}`)
        return { pushes: [begin(entry)], skipped: [] }
      }
      const pushes: PushView[] = []
      const skipped: { agent: string; reason: string }[] = []
      for (const entry of agents.entries.values()) {
        const why = obstacle(entry) ?? unwillingness(entry)
        if (why === undefined) pushes.push(begin(entry))
        else skipped.push({ agent: entry.config.name, reason: why })
      }
      return { pushes, skipped }
    },
  }
}

function begin(entry: AgentEntry): PushView {
  const { config } = entry.config
  return pushView(entry, entry.pool.pushConfig(config, configVersion(config)))
}

/** Why an agent cannot be pushed to at all. */
function obstacle({ config, pool, isDrained }: AgentEntry): string | undefined {
  if (isDrained) return `it is drained; weir undrain ${config.name} first`
  if (config.config === undefined)
    return `it has no configuration of its own; set agents.${config.name}.config and reload`
  if (pool.snapshot().active === 0) return 'it has no connection; it is told when one is made'
  return undefined
}

/** Why an agent is left out when all are told: one that cannot be told while it runs would lose its connections. */
function unwillingness({ config, pool }: AgentEntry): string | undefined {
  if (pool.snapshot().connections.some(({ takesConfig }) => takesConfig)) return undefined
  return config.origin.kind === 'dialed'
    ? `it cannot be told while it runs; weir push ${config.name} replaces its connections`
    : 'it cannot be told while it runs; it learns at its next connection'
}

function pushView({ config, pool }: AgentEntry, push: ConfigPush): PushView {
  const connections = Array.from(push.connections.values(), (entry): PushedConnectionView => {
    const isGone = pool.find(entry.connectionId) === undefined
    return {
      connection: entry.connectionId,
      state: stateOf(entry, isGone),
      attempts: entry.attempts,
      error: entry.error,
    }
  })
  return {
    agent: config.name,
    id: push.id,
    version: push.version ?? '',
    at: new Date(push.startedAtMs).toISOString(),
    state: GRAVITY.find((state) => connections.some((one) => one.state === state)) ?? 'acknowledged',
    connections,
  }
}

function stateOf({ state, code }: ConfigPushEntry, isGone: boolean): PushState {
  switch (state) {
    case 'sent':
      return 'pending'
    case 'failed':
      return code === 'TIMEOUT' ? 'expired' : 'failed'
    case 'replacing':
      return isGone ? 'replaced' : 'replacing'
    case 'acknowledged':
    case 'refused':
    case 'unsupported':
      return state
  }
}
