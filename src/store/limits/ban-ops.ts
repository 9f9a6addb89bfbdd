import type { Database } from 'better-sqlite3'
import type { StoreOp } from '../store-op.ts'

export interface BanChangeRow {
  readonly agent: string
  readonly action: 'ban' | 'unban'
  readonly reason: string
  readonly author: string
  readonly atWallMs: number
  readonly untilWallMs: number | undefined
}

export interface BanOrderRow extends BanChangeRow {
  /** Nothing is written if the agent has a newer change than this revision; that one is the answer. */
  readonly newestKnown?: number | undefined
}

export interface BanRow extends BanChangeRow {
  readonly revision: number
}

interface StoredBan extends Omit<BanRow, 'untilWallMs'> {
  readonly untilWallMs: number | null
}

const COLUMNS =
  'revision, agent, action, reason, author, at_wall_ms AS atWallMs, until_wall_ms AS untilWallMs'

export interface BanOps {
  readonly changeBan: StoreOp<BanOrderRow, BanRow>
  readonly bansSince: StoreOp<number, readonly BanRow[]>
  readonly banHistory: StoreOp<
    { readonly agent: string | undefined; readonly limit: number },
    readonly BanRow[]
  >
}

export function banOps(database: Database): BanOps {
  const append = database.prepare(
    'INSERT INTO ban_change (agent, action, reason, author, at_wall_ms, until_wall_ms) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const set = database.prepare('INSERT OR REPLACE INTO ban (agent, revision) VALUES (?, ?)')
  const lift = database.prepare('DELETE FROM ban WHERE agent = ?')
  const current = database.prepare<[], StoredBan>(
    `SELECT ${COLUMNS} FROM ban_change WHERE revision IN (SELECT revision FROM ban) ORDER BY revision`,
  )
  const since = database.prepare<[number], StoredBan>(
    `SELECT ${COLUMNS} FROM ban_change WHERE revision > ? ORDER BY revision`,
  )
  const newest = database.prepare<[number], StoredBan>(
    `SELECT ${COLUMNS} FROM ban_change ORDER BY revision DESC LIMIT ?`,
  )
  const newestOf = database.prepare<[string, number], StoredBan>(
    `SELECT ${COLUMNS} FROM ban_change WHERE agent = ? ORDER BY revision DESC LIMIT ?`,
  )

  return {
    changeBan: {
      kind: 'durable',
      run({ newestKnown, ...change }) {
        const { agent, action, reason, author, atWallMs, untilWallMs } = change
        const newer = newestKnown === undefined ? undefined : newestOf.get(agent, 1)
        if (newer !== undefined && newer.revision > newestKnown!) return toBan(newer)
        const { lastInsertRowid } = append.run(agent, action, reason, author, atWallMs, untilWallMs ?? null)
        const revision = Number(lastInsertRowid)
        if (action === 'ban') set.run(agent, revision)
        else lift.run(agent)
        return { ...change, revision }
      },
    },

    bansSince: {
      kind: 'read',
      run: (revision) => (revision === 0 ? current.all() : since.all(revision)).map(toBan),
    },

    banHistory: {
      kind: 'read',
      run: ({ agent, limit }) =>
        (agent === undefined ? newest.all(limit) : newestOf.all(agent, limit)).map(toBan),
    },
  }
}

function toBan(stored: StoredBan): BanRow {
  return { ...stored, untilWallMs: stored.untilWallMs ?? undefined }
}
