import { createHash } from 'node:crypto'
import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Editors and volume managers change a file in several steps; wait for the last of them. Milliseconds. */
const DEBOUNCE_MS = 200
/** Logs or a database in the same folder change it all the time; look at least this often then. Milliseconds. */
const MAX_WAIT_MS = 1000

/**
 * Tells when the content of files changed. Watches their folders, because editors replace files and Kubernetes
 * swaps a link beside them; compares content, because folders change for many reasons.
 */
export class FileWatch {
  readonly #onChange: () => void
  #files: readonly string[] = []
  #watchers: FSWatcher[] = []
  #content = ''
  #timer: NodeJS.Timeout | undefined
  /** When the first change was seen that was not looked at yet. */
  #pendingSince: number | undefined

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  /** Notes how the files are now. To be called before they are read: a change while they are is not missed then. */
  mark(): void {
    this.#content = contentOf(this.#files)
  }

  /** Watches these files from now on. */
  follow(files: readonly string[]): void {
    const isSame = files.length === this.#files.length && files.every((file, at) => file === this.#files[at])
    if (isSame) {
      this.#changed()
      return
    }
    this.close()
    this.#files = files
    this.mark()
    for (const folder of new Set(files.map((file) => dirname(file)))) {
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#changed())
        /* A folder that goes away ends its watch; SIGHUP still works. */
        watcher.on('error', () => watcher.close())
        this.#watchers.push(watcher)
      } catch {
        /* Some file systems cannot be watched; SIGHUP still works. */
      }
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  #changed(): void {
    clearTimeout(this.#timer)
    const now = performance.now()
    this.#pendingSince ??= now
    const leftMs = this.#pendingSince + MAX_WAIT_MS - now
    this.#timer = setTimeout(
      () => {
        this.#pendingSince = undefined
        const content = contentOf(this.#files)
        if (content === this.#content) return
        this.#content = content
        this.#onChange()
      },
      Math.max(0, Math.min(DEBOUNCE_MS, leftMs)),
    )
    this.#timer.unref()
  }
}

function contentOf(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    try {
      hash.update(readFileSync(file)).update('\n')
    } catch {
      hash.update('missing\n')
    }
  }
  return hash.digest('hex')
}
