import type { Operations } from '../admin/operations.ts'
import type { BanChangeView, BanView, ReadinessCheck } from '../admin/views.ts'
import type { Ban } from '../proxy/limits/ban-book.ts'
import type { BanRecord } from '../proxy/limits/limit-store.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { WeirSystem } from './system.ts'
import { VERSION } from './version.ts'
import { agentView, connectionViews, limitViews } from './views.ts'

/** The running system as its operators see it. */
export function systemOperations(system: WeirSystem, log: Log, metrics: Metrics): Operations {
  const { agents, storage, clock } = system
  const startedAt = clock.now()
  const entries = () => [...agents.entries.values()]

  function readiness(): readonly ReadinessCheck[] {
    return [
      { name: 'serving', isOk: system.state === 'serving', detail: system.state },
      storage.readiness(),
      ...entries()
        .map(agentView)
        .map((agent) => ({
          name: `agent ${agent.name}`,
          /* A request can still be served without an agent that fails open, or that its operator took out. */
          isOk: agent.state !== 'unavailable' || agent.onFailure === 'open',
          detail: `${agent.state}, ${agent.availableConnections} of ${agent.wantedConnections} connections available, on failure ${agent.onFailure}`,
        })),
    ]
  }

  return {
    readiness,
    status: () => {
      const views = entries().map(agentView)
      return {
        version: VERSION,
        pid: process.pid,
        uptimeMs: clock.now() - startedAt,
        state: system.state,
        isReady: readiness().every((check) => check.isOk),
        openRequests: system.dispatcher.openRequests,
        load: system.load,
        agents: { total: views.length, ready: views.filter((agent) => agent.state === 'ready').length },
        routes: system.config.routes.length,
        listeners: system.listeners.views,
        config: system.configState,
      }
    },
    agents: () => entries().map(agentView),
    connections: () => entries().flatMap(connectionViews),
    limits: () => entries().flatMap((entry) => limitViews(entry, storage.limiter)),
    bans: () => storage.limiter.bans.list().map(banView),
    async banHistory(agent, limit) {
      return (await storage.limiter.bans.history(agent, limit)).map(banChangeView)
    },
    async ban({ agent, reason, author, durationMs }) {
      agents.entry(agent)
      const record = await storage.limiter.bans.ban({ agent, reason, author, durationMs })
      return banView(record)
    },
    async unban(agent, author) {
      await storage.limiter.bans.unban(agent, '', author)
    },
    drain: (agent) => agents.drain(agent),
    undrain: (agent) => system.undrain(agent),
    metrics,
    audit: (action, facts) => log.audit(action, facts),
  }
}

function banChangeView({ action, ...ban }: BanRecord): BanChangeView {
  const { since, ...view } = banView(ban)
  return { ...view, action, at: since }
}

function banView(ban: Pick<Ban, 'agent' | 'reason' | 'author' | 'atWallMs' | 'untilWallMs'>): BanView {
  const { agent, reason, author, atWallMs, untilWallMs } = ban
  return {
    agent,
    reason,
    author,
    since: new Date(atWallMs).toISOString(),
    until: untilWallMs === undefined ? undefined : new Date(untilWallMs).toISOString(),
  }
}
