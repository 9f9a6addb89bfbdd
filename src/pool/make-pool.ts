import { ConnectionPool, type ConnectionPoolParts } from './connection-pool.ts'
import { ExclusivePool } from './exclusive-pool.ts'
import type { ManagedPool } from './managed-pool.ts'

export interface PoolParts extends Omit<ConnectionPoolParts, 'successorOf' | 'onReady'> {
  /** The agent takes one event at a time per connection: legacy framing. */
  readonly isExclusive: boolean
  /** The pool this one takes over from, of either kind. */
  readonly successorOf?: ManagedPool | undefined
}

/** The pool that fits an agent. Start it, or add it to the registry. */
export function makePool({ isExclusive, successorOf, ...parts }: PoolParts): ManagedPool {
  const before = successorOf instanceof ExclusivePool ? successorOf.inner : successorOf
  const whole = { ...parts, successorOf: before instanceof ConnectionPool ? before : undefined }
  return isExclusive ? new ExclusivePool(whole) : new ConnectionPool(whole)
}
