import { closeSync, existsSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import SqliteDatabase, { type Database } from 'better-sqlite3'
import { WeirError } from '../core/errors.ts'
import { migrate, mustBeOurs } from './schema/migrate.ts'
import { sqliteCode } from './storage-error.ts'

export interface DatabaseOptions {
  readonly path: string
  /** Longest that a transaction waits for another process. */
  readonly busyTimeoutMs: number
  /** Largest file in pages of 4 KiB; undefined: as large as the disk. */
  readonly maxPages?: number | undefined
}

/** Pages of write-ahead log after which SQLite copies them into the file: 16 MiB. */
const WAL_PAGES = 4096

/** Session keys and rate-limit keys may be credentials: the file is its owner's alone. An older file keeps its mode. */
const FILE_MODE = 0o600

/** Between two attempts to open a file that is busy, milliseconds. */
const RETRY_MS = 10

/**
 * Opens, checks and migrates the file, making it if it does not exist. Throws SQLite's errors and STORAGE; never
 * deletes or replaces a file. Blocks its thread, up to the busy timeout: two processes that make one file at
 * once get SQLITE_BUSY from the switch to the write-ahead log without SQLite waiting for the other.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const giveUpAt = performance.now() + options.busyTimeoutMs
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (;;) {
    try {
      return tryOpen(options)
    } catch (error) {
      const isBusy = sqliteCode(error)?.startsWith('SQLITE_BUSY') === true
      if (!isBusy || performance.now() >= giveUpAt) throw error
      Atomics.wait(sleeper, 0, 0, RETRY_MS)
    }
  }
}

function tryOpen(options: DatabaseOptions): Database {
  const folder = dirname(options.path)
  if (!existsSync(folder))
    throw new WeirError('STORAGE', `${options.path} cannot be opened: make its folder ${folder} first`)
  makeOwn(options.path)
  const database = new SqliteDatabase(options.path, { timeout: options.busyTimeoutMs })
  try {
    mustBeOurs(database, options.path)
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = NORMAL')
    database.pragma('foreign_keys = ON')
    database.pragma(`wal_autocheckpoint = ${WAL_PAGES}`)
    if (options.maxPages !== undefined) database.pragma(`max_page_count = ${options.maxPages}`)
    mustBeWhole(database, options.path)
    migrate(database, options.path)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** SQLite gives its -wal and -shm files the mode of the file, and would make that one for everyone to read. */
function makeOwn(path: string): void {
  if (existsSync(path)) return
  try {
    closeSync(openSync(path, 'a', FILE_MODE))
  } catch {
    /* SQLite meets the same obstacle next and names it. */
  }
}

function mustBeWhole(database: Database, path: string): void {
  const findings = database.pragma('quick_check(3)') as readonly { readonly quick_check: string }[]
  const text = findings.map((finding) => finding.quick_check.replaceAll('\n', ' ')).join('; ')
  if (text === 'ok') return
  throw new WeirError(
    'STORAGE',
    `${path} is damaged (${text}): stop Weir, keep a copy, and restore a backup or try \`sqlite3 FILE .recover\`; ` +
      'nothing was deleted',
  )
}
