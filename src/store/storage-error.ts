import { type ErrorCode, WeirError } from '../core/errors.ts'

/** An error on its way between the threads. */
export interface PlainError {
  readonly code: ErrorCode
  readonly message: string
}

/** SQLite result codes that can be told apart, and what an operator can do about each. */
const FIXES: readonly (readonly [prefix: string, problem: string, fix: string])[] = [
  ['SQLITE_BUSY', 'is locked by another process', 'find out who holds it; the call may be repeated'],
  ['SQLITE_LOCKED', 'is locked by another connection', 'the call may be repeated'],
  ['SQLITE_FULL', 'cannot grow: the disk is full', 'free some space; nothing of the call was written'],
  ['SQLITE_READONLY', 'cannot be written', 'check the owner and mode of the file and its folder'],
  ['SQLITE_CANTOPEN', 'cannot be opened', 'check that its folder exists and may be read and written'],
  [
    'SQLITE_CORRUPT',
    'is damaged',
    'stop Weir, keep a copy, and restore a backup or try `sqlite3 FILE .recover`; nothing was deleted',
  ],
  [
    'SQLITE_NOTADB',
    'is not a SQLite database',
    'point storage.path elsewhere, or restore a backup; nothing was deleted',
  ],
  ['SQLITE_IOERR', 'cannot be read or written', 'check the disk and the kernel log'],
]

/** What went wrong with the file at `path`, as STORAGE with its fix; errors of Weir keep their code. */
export function storageError(path: string, thrown: unknown): PlainError {
  if (thrown instanceof WeirError) return { code: thrown.code, message: thrown.message }
  const code = sqliteCode(thrown)
  const detail = thrown instanceof Error ? thrown.message : String(thrown)
  const known = code === undefined ? undefined : FIXES.find(([prefix]) => code.startsWith(prefix))
  if (known === undefined) return { code: 'STORAGE', message: `${path}: ${code ?? 'error'}: ${detail}` }
  return { code: 'STORAGE', message: `${path} ${known[1]} (${code}: ${detail}): ${known[2]}` }
}

/** SQLite's own code, `SQLITE_...`, when the error comes from there. */
export function sqliteCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' && thrown.code.startsWith('SQLITE_') ? thrown.code : undefined
}

/** The file itself is wrong: no call repaired that, and another look at all of it has to say how far. */
export function isDamage(thrown: unknown): boolean {
  const code = sqliteCode(thrown)
  return code?.startsWith('SQLITE_CORRUPT') === true || code === 'SQLITE_NOTADB'
}
