import { closeSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs'

/** What lies at the paths of the database and its log now, seen from the connection that has them open. */
export type Attachment =
  | { readonly kind: 'attached' }
  /** The database at the path is another one, or none: what is committed here is in a file without a name. */
  | { readonly kind: 'moved'; readonly why: string }
  /** Only the write-ahead log was taken away: closing the connection writes all of it into the database. */
  | { readonly kind: 'log-lost'; readonly why: string }
  /** It is the same file, and somebody wrote something else into it. */
  | { readonly kind: 'overwritten'; readonly why: string }

/** What every SQLite file begins with. */
const MAGIC = Buffer.from('SQLite format 3\0')

const ATTACHED: Attachment = { kind: 'attached' }

/**
 * Knows which files a connection has open, by device and inode. SQLite itself does not look again: it would go on
 * committing into a file that was deleted or replaced, and acknowledge what nobody will ever read.
 */
export class OpenFile {
  readonly #path: string
  readonly #inode: string
  readonly #log: string | undefined
  readonly #descriptor: number
  readonly #start = Buffer.alloc(MAGIC.length)
  /** Tells this file from others at the same path, also those made later: an inode is used again, a birth is not. */
  readonly identity: string

  /** To be made right after the connection was opened and used. Throws when the file is gone already. */
  constructor(path: string) {
    this.#path = path
    const found = statSync(path, { bigint: true })
    this.#inode = `${found.dev}:${found.ino}`
    this.identity = `${this.#inode}:${found.birthtimeNs}`
    this.#log = inodeOf(logOf(path))
    this.#descriptor = openSync(path, 'r')
  }

  /**
   * To be called once the connection is closed, and not before: the locks that a process has on a file end with any of its
   * descriptors.
   */
  close(): void {
    closeSync(this.#descriptor)
  }

  /** Microseconds: two looks at names and one at the start of the file, which SQLite reads once and keeps. */
  look(): Attachment {
    const path = this.#path
    const found = inodeOf(path)
    if (found === undefined) return { kind: 'moved', why: 'the file was deleted or moved while in use' }
    if (found !== this.#inode) return { kind: 'moved', why: 'the file was replaced by another while in use' }
    if (!this.#beginsAsOurs())
      return {
        kind: 'overwritten',
        why: 'the file was overwritten in place while in use and is not a database any more',
      }
    if (inodeOf(logOf(path)) === this.#log) return ATTACHED
    return { kind: 'log-lost', why: 'its write-ahead log was deleted or replaced while in use' }
  }

  #beginsAsOurs(): boolean {
    const length = readSync(this.#descriptor, this.#start, 0, MAGIC.length, 0)
    return length === MAGIC.length && this.#start.equals(MAGIC)
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
