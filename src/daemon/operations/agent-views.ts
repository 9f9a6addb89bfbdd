import type { AgentState, AgentView, AnnouncedView, ConnectionView, ReportedView } from '../../admin/views.ts'
import { statedBodyLimit } from '../../core/agent-messages.ts'
import type { PoolSnapshot } from '../../pool/pool-snapshot.ts'
import type { Ban } from '../../proxy/limits/ban-book.ts'
import type { AgentNote } from '../agents/agent-notes.ts'
import type { AgentEntry } from '../agents/agent-set.ts'
import { type ConfigStanding, configStanding } from '../agents/config-standing.ts'
import { formatEndpoint } from '../config/addresses.ts'

/** What stands between an agent and its events, beside its pool. */
export interface AgentFacts {
  readonly ban: Ban | undefined
  readonly note: AgentNote
}

export function agentView(entry: AgentEntry, facts: AgentFacts): AgentView {
  const { config, pool } = entry
  const snapshot = pool.snapshot()
  const { origin } = config
  const configured = configStanding(entry)
  return {
    name: config.name,
    origin: origin.kind,
    endpoint: origin.kind === 'dialed' ? formatEndpoint(origin.endpoint) : 'reverse',
    ...standing(entry, snapshot, facts, configured),
    configTrouble: configured.state === 'taken' ? '' : `${configured.state}: ${configured.words}`,
    connections: snapshot.active,
    availableConnections: snapshot.available,
    wantedConnections: snapshot.target,
    inFlight: snapshot.inFlight,
    waiting: snapshot.waiting,
    breaker: snapshot.breaker,
    breakerRetryMs: snapshot.breakerRetryMs,
    onFailure: config.onFailure,
    software: softwareOf(snapshot),
    requests: snapshot.requests,
    errors: snapshot.errors,
    timeouts: snapshot.timeouts,
    connectionErrors: snapshot.connectionErrors,
    ejections: snapshot.ejections,
    dialFailures: snapshot.dialFailures,
    lost: snapshot.lost,
    retired: snapshot.retired,
    pauses: snapshot.pauses,
    resumes: snapshot.resumes,
    flowRejections: snapshot.flowRejections,
    overflows: snapshot.overflows,
    errorRate: snapshot.errorRate,
    latencyMs: snapshot.latencyMs,
    queueMs: snapshot.queueMsAverage,
    queueMsTotal: snapshot.queueMsTotal,
    bodyBytesInFlight: snapshot.bodyBytesInFlight,
    sessions: snapshot.sessions,
    announced: announced(snapshot),
    reported: reported(snapshot),
    denials: { ...facts.note.denials },
    bypasses: Object.fromEntries(Object.entries(snapshot.bypasses).filter(([, count]) => count > 0)),
  }
}

function softwareOf({ connections }: PoolSnapshot): string {
  const [first] = connections
  return first === undefined ? '' : `${first.agentName} ${first.agentVersion}`.trim()
}

function announced({ connections }: PoolSnapshot): AnnouncedView | undefined {
  const [first] = connections
  if (first === undefined) return undefined
  const bytes = Math.min(...connections.map(({ limits }) => statedBodyLimit(limits)))
  return {
    maxBodyBytes: Number.isFinite(bytes) ? bytes : 0,
    preferredChunkBytes: first.limits.preferredChunkSize,
    maxProcessingMs: first.limits.maxProcessingTimeMs ?? 0,
  }
}

function reported({ reported: last }: PoolSnapshot): ReportedView | undefined {
  if (last === undefined) return undefined
  const { load, resources } = last.report
  if (load === undefined && resources === undefined) return undefined
  return { ageMs: last.ageMs, load, resources: resources ?? {} }
}

/** What an event would meet now, and why; whatever an operator decided comes first. */
function standing(
  { isDrained, config }: AgentEntry,
  snapshot: PoolSnapshot,
  { ban, note }: AgentFacts,
  configured: ConfigStanding,
): { readonly state: AgentState; readonly reason: string } {
  const usable = snapshot.active - snapshot.retiring - snapshot.configuring
  if (isDrained || snapshot.state === 'draining')
    return {
      state: 'draining',
      reason: `taken out of service; weir undrain ${config.name} puts it back`,
    }
  if (ban !== undefined) return { state: 'banned', reason: banReason(ban) }
  if (usable <= 0 && snapshot.configuring > 0)
    return {
      state: 'unavailable',
      reason: 'connected, but it has not taken its configuration yet; see weir pushes',
    }
  if (usable <= 0)
    return { state: 'unavailable', reason: absence(config.origin.kind, note.dialFailure, configured) }
  if (snapshot.breaker === 'open')
    return { state: 'breaker-open', reason: `the agent kept failing: ${failures(snapshot)}` }
  if (snapshot.paused >= usable)
    return { state: 'paused', reason: 'the agent asked for a pause on every connection' }
  if (snapshot.healthy === 0 && snapshot.available === 0)
    return { state: 'unavailable', reason: `every connection is ejected or draining: ${failures(snapshot)}` }
  if (snapshot.breaker === 'half-open' || snapshot.healthy === 0)
    return { state: 'half-open', reason: `single events try the agent after ${failures(snapshot)}` }
  if (snapshot.available === 0)
    return { state: 'full', reason: `${snapshot.inFlight} in flight, ${snapshot.waiting} waiting` }
  return { state: 'ready', reason: '' }
}

function banReason({ reason, author, untilWallMs, isWritten }: Ban): string {
  const until = untilWallMs === undefined ? 'until unban' : `until ${new Date(untilWallMs).toISOString()}`
  const where = isWritten ? '' : ' (not on disk yet)'
  return `by ${author} ${until}${where}${reason === '' ? '' : `: ${reason}`}`
}

function absence(
  origin: 'dialed' | 'reverse',
  dialFailure: string | undefined,
  configured: ConfigStanding,
): string {
  if (origin === 'reverse' && configured.state === 'refused')
    return `no connection: the agent dialed in and did not take its configuration: ${configured.words}`
  if (origin === 'reverse') return 'no connection: the agent has not dialed in'
  return dialFailure === undefined ? 'no connection yet' : `no connection: ${dialFailure}`
}

function failures({ errors, timeouts, errorRate }: PoolSnapshot): string {
  return `${errors} errors, ${timeouts} of them timeouts; ${Math.round(errorRate * 100)} % of the last minute`
}

export function connectionViews({ config, pool }: AgentEntry): ConnectionView[] {
  return pool.snapshot().connections.map((connection) => ({
    id: connection.id,
    agent: config.name,
    transport: connection.transport,
    peer: connection.peer,
    state: connection.stage === 'ready' ? readyState(connection) : connection.stage,
    inFlight: connection.inFlight,
    limit: connection.limit,
    latencyMs: connection.latencyMs,
    ageMs: connection.ageMs,
    events: connection.requests,
    errors: connection.errors,
    timeouts: connection.timeouts,
    score: connection.score,
    weight: connection.weight,
    bodyBytesInFlight: connection.bodyBytesInFlight,
  }))
}

function readyState(connection: PoolSnapshot['connections'][number]): string {
  if (connection.isPaused) return 'paused'
  if (connection.health === 'ejected' && connection.isAvailable) return 'trial'
  if (connection.health !== 'healthy') return connection.health
  return connection.isAvailable ? 'ready' : 'full'
}
