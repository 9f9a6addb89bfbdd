import { Worker } from 'node:worker_threads'
import type { PlainError } from './storage-error.ts'
import type { FromThread, StoreReply, ThreadData, ToThread } from './store-protocol.ts'

/** Who started a thread. Each is told of one opening or refusal, and of one end. */
export interface ThreadOwner {
  /** `file` tells the open file from every other at its path. */
  onOpened(file: string): void
  onReplies(replies: readonly StoreReply[]): void
  /** Before the last call: the file was found damaged, so that what it holds next is not what was acknowledged. */
  onDamage(): void
  /** Last call: it never opened (`refusal`), was asked to close (`why` undefined), or died. */
  onEnded(why: string | undefined, refusal: PlainError | undefined): void
}

/** One store thread, from its start to its end, whatever ends it. */
export class ThreadLife {
  readonly #worker: Worker
  readonly #owner: ThreadOwner
  #hasEnded = false

  constructor(data: ThreadData, owner: ThreadOwner) {
    this.#owner = owner
    /* Compiled name: the compiler rewrites imports, not URLs. */
    const worker = new Worker(new URL('./store-thread.js', import.meta.url), { workerData: data })
    this.#worker = worker
    worker.on('message', (message: FromThread) => this.#heard(message))
    /* Uncaught errors and a heap that is full. */
    worker.on('error', (error) => this.#ended(`the store thread failed: ${error.message}`))
    worker.on('exit', (code) => this.#ended(`the store thread ended (exit code ${code})`))
  }

  send(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  /** Whether the process stays alive for it. */
  keepsAlive(isKept: boolean): void {
    if (isKept) this.#worker.ref()
    else this.#worker.unref()
  }

  #heard(message: FromThread): void {
    if (this.#hasEnded) return
    switch (message.kind) {
      case 'opened':
        this.#owner.onOpened(message.file)
        return
      case 'replies':
        this.#owner.onReplies(message.replies)
        return
      case 'refused':
        this.#ended(message.error.message, message.error)
        return
      case 'gave-up':
        if (message.isDamaged) this.#owner.onDamage()
        this.#ended(message.why)
        return
      case 'closed':
        this.#ended(undefined)
        return
    }
  }

  #ended(why: string | undefined, refusal?: PlainError): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#owner.onEnded(why, refusal)
  }
}
