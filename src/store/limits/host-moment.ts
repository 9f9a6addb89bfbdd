import type { Database } from 'better-sqlite3'
import type { HostTime } from './lease-row.ts'

/** An instant, as a request names it: another file may come to lie at the path between two requests. */
export interface HostMoment {
  /** Which start of which host `nowMs` counts from, see `HostClock.identity`. */
  readonly host: string
  readonly nowMs: number
  readonly wallMs: number
}

/** No row has it. */
const UNKNOWN = -1

/** The numbers that the file has for starts of hosts. */
export class HostEpochs {
  readonly #find: (host: string) => { readonly id: number } | undefined
  readonly #add: (host: string) => void

  constructor(database: Database) {
    const find = database.prepare<[string], { id: number }>('SELECT id FROM host_epoch WHERE identity = ?')
    const add = database.prepare('INSERT OR IGNORE INTO host_epoch (identity) VALUES (?)')
    this.#find = (host) => find.get(host)
    this.#add = (host) => void add.run(host)
  }

  /** Makes a number for a start of a host that is new. Not remembered here: the transaction may be undone. */
  number(host: string): number {
    const known = this.#find(host)
    if (known !== undefined) return known.id
    this.#add(host)
    return this.#find(host)!.id
  }

  /** Writes nothing. */
  read({ host, nowMs, wallMs }: HostMoment): HostTime {
    return { epoch: this.#find(host)?.id ?? UNKNOWN, nowMs, wallMs }
  }
}
