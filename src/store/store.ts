import { Worker } from 'node:worker_threads'
import { WeirError } from '../core/errors.ts'
import type { OpArgs, OpName, OpResult } from './store-ops.ts'
import type { FromThread, StoreReply, StoreRequest, ThreadData, ToThread } from './store-protocol.ts'

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
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: WeirError) => void
}

type State = 'open' | 'closing' | 'closed' | 'lost'

/**
 * The file, seen from the event loop: requests of one turn travel together to the store thread, are answered
 * after their commit, in order. Nothing here ever waits for the disk.
 */
export class Store {
  readonly path: string
  readonly #worker: Worker
  readonly #maxPending: number
  readonly #pending = new Map<number, Pending>()
  #outgoing: StoreRequest[] = []
  #state: State = 'open'
  #lastId = 0
  #onClosed: (() => void) | undefined
  #closed: Promise<void> | undefined

  private constructor(path: string, worker: Worker, maxPending: number) {
    this.path = path
    this.#worker = worker
    this.#maxPending = maxPending
    worker.on('message', (message: FromThread) => this.#heard(message))
    worker.on('error', (error) => this.#lost(`store thread failed: ${error.message}`))
    worker.on('exit', () => this.#lost('store thread ended'))
    worker.unref()
  }

  /** Opens, checks and migrates the file. Rejects with STORAGE: the message names the file and the fix. */
  static open(options: StoreOptions): Promise<Store> {
    const { path, busyTimeoutMs = 2000, maxBatch = 512, maxPending = 20_000, maxPages } = options
    const workerData: ThreadData = { database: { path, busyTimeoutMs, maxPages }, maxBatch }
    /* Compiled name: the compiler rewrites imports, not URLs. */
    const worker = new Worker(new URL('./store-thread.js', import.meta.url), { workerData })
    return new Promise((resolve, reject) => {
      worker.once('error', (error) =>
        reject(new WeirError('STORAGE', `${path}: store thread failed: ${error.message}`, { cause: error })),
      )
      worker.once('message', (first: FromThread) => {
        worker.removeAllListeners('error')
        if (first.kind === 'refused') reject(new WeirError(first.error.code, first.error.message))
        else resolve(new Store(path, worker, maxPending))
      })
    })
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Requests not answered yet. */
  get pending(): number {
    return this.#pending.size
  }

  /** Resolves after the commit, for durable operations after its fsync. Rejects with STORAGE or a refusal. */
  call<Name extends OpName>(op: Name, args: OpArgs<Name>): Promise<OpResult<Name>> {
    return new Promise((resolve, reject) => {
      const refusal = this.#refusal()
      if (refusal !== undefined) {
        reject(new WeirError('STORAGE', `${this.path}: ${refusal}`))
        return
      }
      const id = ++this.#lastId
      if (this.#pending.size === 0) this.#worker.ref()
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush())
      this.#outgoing.push({ id, op, args })
    })
  }

  /** Finishes what was asked for, then closes the file. Twice: the same promise. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#state !== 'open') {
        resolve()
        return
      }
      this.#flush()
      this.#state = 'closing'
      this.#onClosed = resolve
      this.#worker.ref()
      this.#send('close')
    })
    return this.#closed
  }

  #refusal(): string | undefined {
    switch (this.#state) {
      case 'open':
        if (this.#pending.size < this.#maxPending) return undefined
        return `${this.#pending.size} requests wait already: the disk does not keep up`
      case 'closing':
      case 'closed':
        return 'the store is closed'
      case 'lost':
        return 'the store thread is gone: restart Weir'
    }
  }

  #flush(): void {
    if (this.#outgoing.length === 0) return
    const requests = this.#outgoing
    this.#outgoing = []
    this.#send(requests)
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  #heard(message: FromThread): void {
    switch (message.kind) {
      case 'replies':
        for (const reply of message.replies) this.#settle(reply)
        if (this.#pending.size === 0 && this.#state === 'open') this.#worker.unref()
        return
      case 'closed':
        this.#state = 'closed'
        return
      case 'opened':
      case 'refused':
        return
    }
  }

  #settle(reply: StoreReply): void {
    const pending = this.#pending.get(reply.id)
    this.#pending.delete(reply.id)
    if (reply.error === undefined) pending?.resolve(reply.value)
    else pending?.reject(new WeirError(reply.error.code, reply.error.message))
  }

  #lost(why: string): void {
    if (this.#state !== 'closed') this.#state = 'lost'
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of pending)
      reject(new WeirError('STORAGE', `${this.path}: ${why}, the outcome of the request is unknown`))
    this.#onClosed?.()
  }
}
