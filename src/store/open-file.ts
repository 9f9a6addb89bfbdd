import { renameSync, rmSync, statSync } from 'node:fs'

/** What lies at the paths of the database and its log now, seen from the connection that has them open. */
export type Attachment =
  | { readonly kind: 'attached' }
  /** The database at the path is another one, or none: what is committed here is in a file without a name. */
  | { readonly kind: 'moved'; readonly why: string }
  /** Only the write-ahead log was taken away: closing the connection writes all of it into the database. */
  | { readonly kind: 'log-lost'; readonly why: string }

const ATTACHED: Attachment = { kind: 'attached' }

/**
 * Knows which files a connection has open, by device and inode. SQLite itself does not look again: it would go on
 * committing into a file that was deleted or replaced, and acknowledge what nobody will ever read.
 */
export class OpenFile {
  readonly #path: string
  readonly #inode: string
  readonly #log: string | undefined
  /** Tells this file from others at the same path, also those made later: an inode is used again, a birth is not. */
  readonly identity: string

  /** To be made right after the connection was opened and used. Throws when the file is gone already. */
  constructor(path: string) {
    this.#path = path
    const found = statSync(path, { bigint: true })
    this.#inode = `${found.dev}:${found.ino}`
    this.identity = `${this.#inode}:${found.birthtimeNs}`
    this.#log = inodeOf(logOf(path))
  }

  /** Microseconds: two looks at names. */
  look(): Attachment {
    const path = this.#path
    const found = inodeOf(path)
    if (found === undefined) return { kind: 'moved', why: 'the file was deleted or moved while in use' }
    if (found !== this.#inode) return { kind: 'moved', why: 'the file was replaced by another while in use' }
    if (inodeOf(logOf(path)) === this.#log) return ATTACHED
    return { kind: 'log-lost', why: 'its write-ahead log was deleted or replaced while in use' }
  }

  /**
   * Once the connection to a moved file is closed: SQLite leaves its log in place, and would replay it into whatever
   * is opened at the path next. It is renamed, and only if it is the one of this file.
   */
  setLogAside(): void {
    const log = logOf(this.#path)
    if (this.#log === undefined || inodeOf(log) !== this.#log) return
    renameSync(log, `${log}.of-${this.#inode.replace(':', '-')}`)
    rmSync(`${this.#path}-shm`, { force: true })
  }
}

function logOf(path: string): string {
  return `${path}-wal`
}

function inodeOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}
