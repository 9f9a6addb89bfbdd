import type { DatabaseOptions } from './database.ts'
import type { PlainError } from './storage-error.ts'
import type { OpName } from './store-ops.ts'

/** What the store thread starts with. */
export interface ThreadData {
  readonly database: DatabaseOptions
  /** Requests that share one transaction at most. */
  readonly maxBatch: number
}

export interface StoreRequest {
  readonly id: number
  readonly op: OpName
  readonly args: unknown
}

/** Requests of one turn of the event loop, or the end. */
export type ToThread = readonly StoreRequest[] | 'close'

export interface StoreReply {
  readonly id: number
  readonly value?: unknown
  readonly error?: PlainError
}

export type FromThread =
  /** `file` tells the open file from every other that may come to lie at the path. */
  | { readonly kind: 'opened'; readonly file: string }
  | { readonly kind: 'refused'; readonly error: PlainError }
  /** Sent after the commit, and for durable requests after its fsync. */
  | { readonly kind: 'replies'; readonly replies: readonly StoreReply[] }
  /**
   * The thread cannot go on with this connection and ends; a new one may be started. `isDamaged`: what was acknowledged
   * may be gone, though the file at the path be the same one when it can be opened again.
   */
  | { readonly kind: 'gave-up'; readonly why: string; readonly isDamaged: boolean }
  | { readonly kind: 'closed' }
