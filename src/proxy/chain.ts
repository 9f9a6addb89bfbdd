import type { EventKind } from '../core/event.ts'

/** How a front end must hold a body for the agents of a chain. The strictest agent wins. */
export interface BodyPlan {
  /**
   * `none`: nobody asked, pass it through. `stream`: each chunk is asked about before it is handed on.
   * `buffer`: the whole body is held, asked about as chunk 0 with `isLast`, and only then handed on.
   */
  readonly mode: 'none' | 'stream' | 'buffer'
  /** Bytes; `buffer` mode holds at most this much, `stream` mode inspects at most this much. */
  readonly maxBytes: number
  /** A body over `maxBytes`: refuse with 413, or pass the rest on uninspected (counted as a bypass). */
  readonly onTooLarge: 'reject' | 'skip'
}

/** The agents of one route as the front ends see them. */
export interface Chain {
  /** Route name. */
  readonly name: string
  /** Agent names in order. */
  readonly agents: readonly string[]
  /** Some agent of the chain is configured to get this kind of event. */
  wants(kind: EventKind): boolean
  readonly requestBody: BodyPlan
  readonly responseBody: BodyPlan
}
