import type { Database } from 'better-sqlite3'
import type { StoreOp } from '../store-op.ts'

/** One sticky session: which part of an agent it keeps going to. */
export interface SessionRow {
  readonly agent: string
  readonly session: string
  readonly target: string
  /** Unix milliseconds. */
  readonly expiresWallMs: number
}

export interface SessionName {
  readonly agent: string
  readonly session: string
}

export interface SessionOps {
  /** Sessions of an agent that have not expired. */
  readonly loadSessions: StoreOp<{ readonly agent: string; readonly wallMs: number }, readonly SessionRow[]>
  readonly saveSessions: StoreOp<readonly SessionRow[], undefined>
  readonly deleteSessions: StoreOp<readonly SessionName[], undefined>
  /** Removes expired sessions, at most `limit`, and says how many. */
  readonly expireSessions: StoreOp<{ readonly wallMs: number; readonly limit: number }, number>
}

export function sessionOps(database: Database): SessionOps {
  const load = database.prepare<[string, number], SessionRow>(
    `SELECT agent, session, target, expires_wall_ms AS expiresWallMs FROM session_pin
      WHERE agent = ? AND expires_wall_ms > ?`,
  )
  const save = database.prepare(
    'INSERT OR REPLACE INTO session_pin (agent, session, target, expires_wall_ms) VALUES (?, ?, ?, ?)',
  )
  const remove = database.prepare('DELETE FROM session_pin WHERE agent = ? AND session = ?')
  const expire = database.prepare(
    `DELETE FROM session_pin WHERE (agent, session) IN
      (SELECT agent, session FROM session_pin WHERE expires_wall_ms <= ? LIMIT ?)`,
  )
  return {
    loadSessions: { kind: 'read', run: ({ agent, wallMs }) => load.all(agent, wallMs) },
    saveSessions: {
      kind: 'write',
      run(rows) {
        for (const row of rows) save.run(row.agent, row.session, row.target, row.expiresWallMs)
        return undefined
      },
    },
    deleteSessions: {
      kind: 'write',
      run(names) {
        for (const { agent, session } of names) remove.run(agent, session)
        return undefined
      },
    },
    expireSessions: { kind: 'write', run: ({ wallMs, limit }) => expire.run(wallMs, limit).changes },
  }
}
