import type { Operations } from '../../admin/operations.ts'
import type { AgentView, AppliedView, BanChangeView, BanView, ReadinessCheck } from '../../admin/views.ts'
import { VERSION } from '../../core/version.ts'
import type { Ban } from '../../proxy/limits/ban-book.ts'
import type { BanRecord } from '../../proxy/limits/limit-store.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { WeirSystem } from '../system.ts'
import { agentView, connectionViews } from './agent-views.ts'
import { limitOperations } from './limit-operations.ts'
import { pushOperations } from './push-operations.ts'
import { sessionOperations } from './session-operations.ts'
import { untakenAfter } from './untaken.ts'

/** How long a reload waits for agents to take their configuration, milliseconds. */
const TAKEN_WITHIN_MS = 2000

/** Agents in trouble that the status names. */
const MOST_TROUBLES = 100

/** The running system as its operators see it. `reload` brings the configuration file in. */
export function systemOperations(
  system: WeirSystem,
  log: Log,
  metrics: Metrics,
  reload: () => Promise<AppliedView>,
): Operations {
  const { agents, storage, clock, notes } = system
  const { bans } = storage.limiter
  const startedAt = clock.now()
  const entries = () => [...agents.entries.values()]
  const agentViews = (): AgentView[] =>
    entries().map((entry) => {
      const { name } = entry.config
      return agentView(entry, { ban: bans.find(name), note: notes.of(name) })
    })

  const ownReadiness = (): readonly ReadinessCheck[] => [
    { name: 'serving', isOk: system.state === 'serving', detail: system.state },
    storage.readiness(),
  ]

  function readiness(views: readonly AgentView[] = agentViews()): readonly ReadinessCheck[] {
    return [
      ...ownReadiness(),
      ...views.map((agent) => ({
        name: `agent ${agent.name}`,
        /*
         * A request can still be served without an agent that fails open, or that its operator took out. A breaker
         * that opens says nothing against this instance: the others see the same agent.
         */
        isOk: agent.state !== 'unavailable' || agent.onFailure === 'open',
        detail: `${agent.state}, ${agent.availableConnections} of ${agent.wantedConnections} connections available, on failure ${agent.onFailure}`,
      })),
    ]
  }

  return {
    readiness: () => readiness(),
    status: () => {
      const views = agentViews()
      const unready = views.filter(({ state }) => state !== 'ready')
      const troubled = views.filter(({ state, configTrouble }) => state !== 'ready' || configTrouble !== '')
      return {
        version: VERSION,
        pid: process.pid,
        uptimeMs: clock.now() - startedAt,
        state: system.state,
        isReady: readiness(views).every((check) => check.isOk),
        unready: ownReadiness().filter((check) => !check.isOk),
        openRequests: system.dispatcher.openRequests,
        load: system.load,
        agents: { total: views.length, ready: views.length - unready.length },
        troubles: troubled.slice(0, MOST_TROUBLES).map(({ name, state, reason, configTrouble }) => ({
          agent: name,
          state,
          reason: reason || `its configuration is ${configTrouble}`,
        })),
        routes: system.config.routes.length,
        listeners: system.listeners.views,
        config: system.configState,
      }
    },
    agents: agentViews,
    connections: () => entries().flatMap(connectionViews),
    ...limitOperations(system),
    bans: () => bans.list().map(banView),
    async banHistory(agent, limit) {
      return (await bans.history(agent, limit)).map(banChangeView)
    },
    async ban({ agent, reason, author, durationMs }) {
      agents.entry(agent)
      return banView({ ...(await bans.ban({ agent, reason, author, durationMs })), isWritten: true })
    },
    async unban({ agent, reason, author }) {
      const { wasBanned } = await bans.unban(agent, reason, author)
      return { agent, wasBanned }
    },
    ...sessionOperations(system),
    ...pushOperations(system),
    drain: (agent) => agents.drain(agent),
    undrain: (agent) => system.undrain(agent),
    async reload() {
      const view = await reload()
      return { ...view, untaken: await untakenAfter(TAKEN_WITHIN_MS, entries(), clock) }
    },
    metrics,
    audit: (action, facts) => log.audit(action, facts),
  }
}

function banChangeView({ agent, action, reason, author, atWallMs, untilWallMs }: BanRecord): BanChangeView {
  return { agent, action, reason, author, at: isoTime(atWallMs), until: untilText(untilWallMs) }
}

function banView(ban: Omit<Ban, 'remainingMs'>): BanView {
  const { agent, reason, author, atWallMs, untilWallMs, isWritten } = ban
  return { agent, reason, author, since: isoTime(atWallMs), until: untilText(untilWallMs), isWritten }
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString()
}

function untilText(wallMs: number | undefined): string | undefined {
  return wallMs === undefined ? undefined : isoTime(wallMs)
}
