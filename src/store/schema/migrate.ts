import type { Database } from 'better-sqlite3'
import { WeirError } from '../../core/errors.ts'
import { MIGRATIONS } from './migrations.ts'

/** Marks the file as Weir's (`PRAGMA application_id`): "Weir" in ASCII. */
const APPLICATION_ID = 0x57656972

/**
 * Brings the file to the schema this version knows, all steps in one transaction. Two processes that open one
 * file at once both succeed. Throws STORAGE for a file of a newer Weir, or of another program; both are left as
 * they are.
 */
export function migrate(database: Database, path: string, migrations: readonly string[] = MIGRATIONS): void {
  const known = migrations.length
  if (versionOf(database) === known && idOf(database) === APPLICATION_ID) return
  database
    .transaction(() => {
      const version = mustBeOurs(database, path, known)
      for (const step of migrations.slice(version)) database.exec(step)
      database.pragma(`application_id = ${APPLICATION_ID}`)
      database.pragma(`user_version = ${known}`)
    })
    .immediate()
}

/**
 * The schema version of a file that is new or Weir's. Throws STORAGE for any other one. To be asked before the first
 * statement that writes: already the choice of a journal does.
 */
export function mustBeOurs(database: Database, path: string, known: number = MIGRATIONS.length): number {
  /* One look: another process may be making the file, and half of what it makes is no file of ours. */
  const look = database.transaction(() => ({
    version: versionOf(database),
    id: idOf(database),
    isUsed: hasTables(database),
  }))
  const { version, id, isUsed } = look.deferred()
  if (id !== APPLICATION_ID && (id !== 0 || version !== 0 || isUsed))
    throw new WeirError(
      'STORAGE',
      `${path} is a database of another program: point storage.path elsewhere; nothing was changed`,
    )
  if (version > known)
    throw new WeirError(
      'STORAGE',
      `${path} has schema version ${version}, this Weir knows ${known}: run the newer Weir again, or point ` +
        'storage.path to another file; nothing was changed',
    )
  return version
}

function versionOf(database: Database): number {
  return database.pragma('user_version', { simple: true }) as number
}

function idOf(database: Database): number {
  return database.pragma('application_id', { simple: true }) as number
}

function hasTables(database: Database): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined
}
