import type { Incarnation } from './managed-pool.ts'
import type { Slot } from './slot.ts'

/** How a connection came to be; facts that never change. */
export interface Origin {
  /** The keeper's slot it fills; undefined: the agent dialled in. */
  readonly slot: Slot | undefined
  /** Which run of which instance dialled in, when it said so. */
  readonly incarnation: Incarnation | undefined
  readonly terms: Terms
}

/** What is asked of a connection; one object for all that are asked the same. */
export interface Terms {
  /** Events at once by configuration; the agent's own word may lower it. */
  readonly maxInFlight: number
  /** Milliseconds in which it reaches its full share of traffic; 0: at once. */
  readonly slowStartMs: number
  /** Clock milliseconds; Infinity: never. */
  readonly retireAt: number
  /** Leases; Infinity: unbounded. */
  readonly maxUses: number
  /** Milliseconds without a reply after which it is pinged; 0: never. */
  readonly heartbeatMs: number
}
