import { Backoff } from '../core/backoff.ts'
import { type Clock, systemClock, type TimerHandle } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import { type Probe, SILENT } from '../core/probe.ts'
import { type Random, systemRandom } from '../core/random.ts'
import type { PlainError } from './storage-error.ts'
import type { OpArgs, OpName, OpResult } from './store-ops.ts'
import type { StoreReply, StoreRequest, ThreadData } from './store-protocol.ts'
import { ThreadLife } from './thread-life.ts'

export interface StoreOptions {
  /** SQLite file; made if it does not exist, its folder is not. */
  readonly path: string
  /** Longest that a transaction waits for another process. Default 2000. */
  readonly busyTimeoutMs?: number | undefined
  /** Requests that share one transaction at most. Default 512. */
  readonly maxBatch?: number | undefined
  /** Requests waiting for the thread at most; more are refused. Default 20,000. */
  readonly maxPending?: number | undefined
  /** Largest file in pages of 4 KiB. Default: as large as the disk. */
  readonly maxPages?: number | undefined
  /** Paces new threads after one was lost. Default: the system's. */
  readonly clock?: Clock | undefined
  readonly random?: Random | undefined
  /** Hears of a lost thread and of its successor. */
  readonly probe?: Probe | undefined
}

/** How the file stands, for operators. */
export interface StoreHealth {
  readonly isOpen: boolean
  /** Why it is not, one sentence; undefined while it is. */
  readonly problem: string | undefined
  /** Threads lost so far: died, or gave up a file that was deleted or replaced. */
  readonly losses: number
  /** Times that another file than before, or one that had been damaged, was found at the path. */
  readonly replacements: number
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: WeirError) => void
}

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly thread: ThreadLife }
  /** The thread is lost: a timer runs, or its successor is opening the file. */
  | {
      readonly kind: 'lost'
      readonly why: string
      readonly timer?: TimerHandle
      readonly thread?: ThreadLife
    }
  | { readonly kind: 'closing'; readonly tell: () => void }
  | { readonly kind: 'closed' }

/** A thread that lived this long, milliseconds, was not killed by what it was started with. */
const STABLE_MS = 30_000
const BACKOFF = { initialMs: 100, maxMs: 10_000 }

/**
 * The file, seen from the event loop: requests of one turn travel together to the store thread, are answered after
 * their commit, in order. Nothing here ever waits for the disk. A thread that dies, or finds that its file was
 * deleted or replaced, takes its requests with it (STORAGE, at once) and is followed by another, with backoff.
 */
export class Store {
  readonly path: string
  readonly #data: ThreadData
  readonly #maxPending: number
  readonly #clock: Clock
  readonly #probe: Probe
  readonly #backoff: Backoff
  readonly #pending = new Map<number, Pending>()
  #outgoing: StoreRequest[] = []
  #state: State = { kind: 'opening' }
  #file = ''
  #openedAtMs = 0
  #lastId = 0
  #losses = 0
  #replacements = 0
  #onReplaced: (() => void) | undefined
  #closed: Promise<void> | undefined

  private constructor(options: StoreOptions) {
    const { path, busyTimeoutMs = 2000, maxBatch = 512, maxPages } = options
    this.path = path
    this.#data = { database: { path, busyTimeoutMs, maxPages }, maxBatch }
    this.#maxPending = options.maxPending ?? 20_000
    this.#clock = options.clock ?? systemClock
    this.#probe = options.probe ?? SILENT
    this.#backoff = new Backoff(options.random ?? systemRandom, BACKOFF)
  }

  /** Opens, checks and migrates the file. Rejects with STORAGE: the message names the file and the fix. */
  static open(options: StoreOptions): Promise<Store> {
    const store = new Store(options)
    return new Promise((resolve, reject) => {
      store.#begin(
        () => resolve(store),
        ({ code, message }) => reject(new WeirError(code, message)),
      )
    })
  }

  get isOpen(): boolean {
    return this.#state.kind === 'open'
  }

  get health(): StoreHealth {
    return {
      isOpen: this.isOpen,
      problem: this.#problem(),
      losses: this.#losses,
      replacements: this.#replacements,
    }
  }

  /** Requests not answered yet. */
  get pending(): number {
    return this.#pending.size
  }

  /**
   * Calls `listener` when another file than before, or one that was damaged, lies at the path, in the turn that opens it and before anything is
   * asked of it: what was acknowledged is not there, unless somebody put it there. One listener; the last one counts.
   */
  whenReplaced(listener: () => void): void {
    this.#onReplaced = listener
  }

  /** Resolves after the commit, for durable operations after its fsync. Rejects with STORAGE or a refusal. */
  call<Name extends OpName>(op: Name, args: OpArgs<Name>): Promise<OpResult<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#state.kind !== 'open' || this.#pending.size >= this.#maxPending) {
        reject(new WeirError('STORAGE', this.#refusal()))
        return
      }
      const id = ++this.#lastId
      if (this.#pending.size === 0) this.#state.thread.keepsAlive(true)
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush())
      this.#outgoing.push({ id, op, args })
    })
  }

  /** Finishes what was asked for, then closes the file. Twice: the same promise. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      const state = this.#state
      this.#flush()
      const thread = state.kind === 'open' || state.kind === 'lost' ? state.thread : undefined
      if (state.kind === 'lost') state.timer?.cancel()
      if (thread === undefined) {
        this.#state = { kind: 'closed' }
        resolve()
        return
      }
      this.#state = { kind: 'closing', tell: resolve }
      thread.keepsAlive(true)
      thread.send('close')
    })
    return this.#closed
  }

  /** Starts a thread; `onRefused` is told when it cannot open the file, before anything else happens. */
  #begin(onOpened: () => void, onRefused: (error: PlainError) => void): ThreadLife {
    const thread = new ThreadLife(this.#data, {
      onOpened: (file) => {
        if (this.#state.kind === 'closing') return
        this.#file = file
        this.#openedAtMs = this.#clock.now()
        this.#state = { kind: 'open', thread }
        thread.keepsAlive(false)
        onOpened()
      },
      onReplies: (replies) => {
        for (const reply of replies) this.#settle(reply)
        if (this.#pending.size === 0 && this.#state.kind === 'open') thread.keepsAlive(false)
      },
      onDamage: () => {
        this.#file = ''
      },
      onEnded: (why, refusal) => {
        if (this.#state.kind === 'closing') this.#end(this.#state.tell, why)
        else if (this.#state.kind === 'open') this.#lose(why ?? 'the store thread ended')
        else onRefused(refusal ?? { code: 'STORAGE', message: `${this.path}: ${why}` })
      },
    })
    return thread
  }

  /** The thread is gone: whoever waits is told at once, and a successor follows after a pause. */
  #lose(cause: string): void {
    const why = `${this.path}: ${cause}`
    this.#losses++
    if (this.#clock.now() - this.#openedAtMs >= STABLE_MS) this.#backoff.reset()
    const pauseMs = this.#pause(why)
    this.#rejectAll(why)
    this.#probe.notice?.(
      'error',
      `storage is out of reach: ${why}; it is opened again in ${Math.round(pauseMs)} ms`,
    )
  }

  /** Waits, then starts a thread, until one opens the file. */
  #pause(why: string): number {
    const pauseMs = this.#backoff.next()
    const timer = this.#clock.setTimer(pauseMs, () => {
      const before = this.#file
      const thread = this.#begin(
        () => this.#reopened(this.#file !== before),
        ({ message }) => {
          if (message !== why) this.#probe.notice?.('error', `storage cannot be opened again: ${message}`)
          this.#pause(message)
        },
      )
      thread.keepsAlive(false)
      this.#state = { kind: 'lost', why, thread }
    })
    this.#state = { kind: 'lost', why, timer }
    return pauseMs
  }

  #reopened(isReplaced: boolean): void {
    if (isReplaced) {
      this.#replacements++
      this.#onReplaced?.()
    }
    const what = isReplaced
      ? ', another file than before or a mended one: bans in force and spent tokens are written anew'
      : ''
    this.#probe.notice?.('info', `storage ${this.path} is open again${what}`)
  }

  #end(tell: () => void, why: string | undefined): void {
    this.#state = { kind: 'closed' }
    this.#rejectAll(`${this.path}: ${why ?? 'the store was closed'}`)
    tell()
  }

  #rejectAll(why: string): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#outgoing = []
    for (const { reject } of pending)
      reject(new WeirError('STORAGE', `${why}, the outcome of the request is unknown`))
  }

  #problem(): string | undefined {
    switch (this.#state.kind) {
      case 'opening':
      case 'open':
        return undefined
      case 'lost':
        return this.#state.why
      case 'closing':
      case 'closed':
        return `${this.path}: the store is closed`
    }
  }

  #refusal(): string {
    const tooMany = `${this.path}: ${this.#pending.size} requests wait already: the disk does not keep up`
    return this.#problem() ?? tooMany
  }

  #flush(): void {
    if (this.#outgoing.length === 0 || this.#state.kind !== 'open') return
    const requests = this.#outgoing
    this.#outgoing = []
    this.#state.thread.send(requests)
  }

  #settle(reply: StoreReply): void {
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if (reply.error === undefined) pending?.resolve(reply.value)
    else pending?.reject(new WeirError(reply.error.code, reply.error.message))
  }
}
