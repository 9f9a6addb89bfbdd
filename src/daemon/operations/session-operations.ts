import type { Operations } from '../../admin/operations.ts'
import type { SessionView } from '../../admin/views.ts'
import { WeirError } from '../../core/errors.ts'
import { MAX_SESSION_KEY_LENGTH, type Session } from '../../policy/sessions/session-table.ts'
import type { ConnectionSnapshot } from '../../pool/pool-snapshot.ts'
import type { StickySessions } from '../../pool/sticky-sessions.ts'
import type { AgentEntry } from '../agents/agent-set.ts'
import type { WeirSystem } from '../system.ts'
import { shownKey } from './shown-key.ts'

type SessionOperations = Pick<
  Operations,
  'sessions' | 'sessionPage' | 'session' | 'createSession' | 'clearSession' | 'clearSessions'
>

/** Sticky sessions, looked at without being prolonged. */
export function sessionOperations(system: WeirSystem): SessionOperations {
  const { agents, clock } = system

  function sessionsOf(name: string): { entry: AgentEntry; sessions: StickySessions } {
    const entry = agents.entry(name)
    const { sessions } = entry.pool
    if (sessions !== undefined) return { entry, sessions }
    const { sessions: wanted, balance } = entry.config
    const why =
      wanted.maxSessions === 0
        ? 'its sessions.maxSessions is 0; give it a number above 0 to keep some'
        : `with balance: ${balance} and this endpoint they are not stored`
    throw new WeirError('INVALID_ARGUMENT', `agent ${name} keeps no sessions: ${why}`)
  }

  function viewOf(agent: string, session: Session, isRevealed: boolean): SessionView {
    const { key, home, connectionId, createdAt, lastUsedAt } = session
    /* A client's address is no credential; a cookie or a header may be one. */
    const isSecret = system.config.sessionKey?.from !== 'client-address'
    const isLive = agents.entry(agent).pool.find(connectionId) !== undefined
    const now = clock.now()
    return {
      agent,
      key: shownKey(key, isSecret, isRevealed),
      home,
      connection: isLive ? connectionId : 0,
      idleMs: now - lastUsedAt,
      ageMs: now - createdAt,
    }
  }

  return {
    sessions() {
      const now = clock.now()
      const counts = [...agents.entries.values()].flatMap(({ config, pool }) =>
        pool.sessions === undefined
          ? []
          : [
              {
                agent: config.name,
                sessions: pool.sessions.table.count(now),
                maxSessions: config.sessions.maxSessions,
                idleTtlMs: Number.isFinite(config.sessions.idleTtlMs) ? config.sessions.idleTtlMs : 0,
              },
            ],
      )
      return { total: counts.reduce((sum, { sessions }) => sum + sessions, 0), agents: counts }
    },

    sessionPage(agent, { limit, offset, isRevealed }) {
      const { table } = sessionsOf(agent).sessions
      const now = clock.now()
      return {
        agent,
        total: table.count(now),
        offset,
        sessions: table.list(now, limit, offset).map((session) => viewOf(agent, session, isRevealed)),
      }
    },

    session(agent, key, { isRevealed }) {
      const found = sessionsOf(agent).sessions.table.peek(key, clock.now())
      if (found !== undefined) return viewOf(agent, found, isRevealed)
      throw new WeirError('NOT_FOUND', `agent ${agent} has no session of this key`)
    },

    async createSession(agent, { key, connection, isRevealed }) {
      const { entry, sessions } = sessionsOf(agent)
      if (key.length > MAX_SESSION_KEY_LENGTH)
        throw new WeirError(
          'INVALID_ARGUMENT',
          `key: ${key.length} characters, at most ${MAX_SESSION_KEY_LENGTH} are kept`,
        )
      const target = targetOf(entry, connection)
      const session = sessions.table.create(key, target.home, target.id, clock.now())!
      await sessions.flush()
      return viewOf(agent, session, isRevealed)
    },

    async clearSession(agent, key) {
      const { sessions } = sessionsOf(agent)
      const isLive = sessions.table.peek(key, clock.now()) !== undefined
      sessions.table.clear(key)
      await sessions.flush()
      return isLive
    },

    async clearSessions(agent) {
      const { sessions } = sessionsOf(agent)
      const count = sessions.table.count(clock.now())
      sessions.table.clearAll()
      await sessions.flush()
      return count
    },
  }
}

/** The connection that was named, or the ready one with the fewest events in flight. */
function targetOf({ config, pool }: AgentEntry, wanted: number | undefined): ConnectionSnapshot {
  const ready = pool.snapshot().connections.filter(({ stage }) => stage === 'ready')
  if (wanted !== undefined) {
    const named = ready.find(({ id }) => id === wanted)
    if (named !== undefined) return named
    const ids = ready.map(({ id }) => id).join(', ')
    throw new WeirError(
      'INVALID_ARGUMENT',
      `connection: agent ${config.name} has no ready connection ${wanted}; it has ${ids === '' ? 'none' : ids}`,
    )
  }
  const [least] = ready.toSorted((one, other) => one.inFlight - other.inFlight)
  if (least !== undefined) return least
  throw new WeirError('CONFLICT', `agent ${config.name} has no connection that a session could go to`)
}
