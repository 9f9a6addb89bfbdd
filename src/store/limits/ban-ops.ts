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

/** Changes kept for `banHistory`; a ban in force is kept whatever its age. */
const HISTORY_ROWS = 10_000
/** Wall time for which they are kept, and for which a timed ban that ended is: clocks of hosts differ, but not so far. */
const HISTORY_MS = 366 * 86_400_000
const ENDED_MS = 86_400_000
/** Rows looked at with each change, going round: more than a change adds. */
const SWEEP = 20

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

  const endedAfter = database.prepare<[string, number], { agent: string; untilWallMs: number | null }>(
    `SELECT ban.agent, until_wall_ms AS untilWallMs FROM ban JOIN ban_change USING (revision)
      WHERE ban.agent > ? ORDER BY ban.agent LIMIT ?`,
  )
  const oldAfter = database.prepare<
    [number, number],
    { revision: number; atWallMs: number; isInForce: number }
  >(
    `SELECT revision, at_wall_ms AS atWallMs,
        EXISTS (SELECT 1 FROM ban WHERE ban.agent = change.agent AND ban.revision = change.revision) AS isInForce
      FROM ban_change AS change WHERE revision > ? ORDER BY revision LIMIT ?`,
  )
  const forget = database.prepare('DELETE FROM ban_change WHERE revision = ?')
  let sweptAgent = ''
  let sweptRevision = 0

  /** Looks at some rows after those of the last time, so that no change ever takes long. */
  function sweep(newest: number, wallMs: number): void {
    const bans = endedAfter.all(sweptAgent, SWEEP)
    for (const { agent, untilWallMs } of bans)
      if (untilWallMs !== null && untilWallMs < wallMs - ENDED_MS) lift.run(agent)
    sweptAgent = bans.length < SWEEP ? '' : bans.at(-1)!.agent
    const changes = oldAfter.all(sweptRevision, SWEEP)
    let isRecent = changes.length < SWEEP
    for (const { revision, atWallMs, isInForce } of changes) {
      if (isInForce === 1) continue
      if (revision <= newest - HISTORY_ROWS || atWallMs < wallMs - HISTORY_MS) forget.run(revision)
      else isRecent = true
    }
    sweptRevision = isRecent ? 0 : changes.at(-1)!.revision
  }

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
        sweep(revision, atWallMs)
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
