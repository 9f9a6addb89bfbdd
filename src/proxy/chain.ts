import { EVENT_KINDS, type EventKind } from '../core/event.ts'
import type { ChainAgent } from './agent-policy.ts'

/** How a front end must hold a body for the agents of a chain. The strictest agent wins. */
export interface BodyPlan {
  /**
   * `none`: nobody asked, pass it through. `stream`: each chunk is asked about before it is handed on.
   * `buffer`: the whole body is held, asked about as chunk 0 with `isLast`, and only then handed on.
   */
  readonly mode: 'none' | 'stream' | 'buffer'
  /**
   * Bytes; `buffer` mode holds at most this much, `stream` mode inspects at most this much. The least of what is configured
   * and what the agents say they take.
   */
  readonly maxBytes: number
  /** A body over `maxBytes`: refuse with 413, or pass the rest on uninspected (counted as a bypass). */
  readonly onTooLarge: 'reject' | 'skip'
  /**
   * Bytes of one body that may be asked about beyond the piece whose verdict is awaited; 0: one piece at a time.
   * Only in `stream` mode. Absent: {@link DEFAULT_AHEAD_BYTES}.
   */
  readonly aheadBytes?: number | undefined
}

/** Four of the largest pieces that the http front end makes: enough to hide the way to an agent and back. */
export const DEFAULT_AHEAD_BYTES = 256 * 1024

/** Nobody asked for this body. */
export const NO_BODY: BodyPlan = Object.freeze({ mode: 'none', maxBytes: 0, onTooLarge: 'skip' })

/** The agents of one route as the front ends see them. */
export interface Chain {
  /** Route name. */
  readonly name: string
  /** Some agent of the chain is configured to get this kind of event. */
  wants(kind: EventKind): boolean
  /** Names of the agents that get this kind of event, in order. */
  agentsFor(kind: EventKind): readonly string[]
  /** The rest of a body goes on unseen, because it is too large: counts that for each agent. Returns their names. */
  passUnseen(kind: EventKind): readonly string[]
  readonly requestBody: BodyPlan
  readonly responseBody: BodyPlan
}

/** A chain with its agents, as the dispatcher runs it. Immutable; a reload makes a new one. */
export class AgentChain implements Chain {
  readonly name: string
  readonly members: readonly ChainAgent[]
  /**
   * All agents asked at once instead of one after the other. Never about body chunks: each agent has to see what the
   * one before it made of the chunk, or the last edit would undo the others.
   */
  readonly isParallel: boolean
  /** Requests that began on this chain and have not ended. Written by the dispatcher alone. */
  openRequests = 0
  readonly #requestBody: BodyTerms
  readonly #responseBody: BodyTerms
  readonly #byKind: Readonly<Record<EventKind, readonly ChainAgent[]>>

  constructor(name: string, agents: readonly ChainAgent[], isParallel = false) {
    this.name = name
    this.members = agents
    this.isParallel = isParallel
    const wanting = (kind: EventKind): ChainAgent[] => agents.filter((agent) => agent.policy.events.has(kind))
    this.#byKind = Object.fromEntries(EVENT_KINDS.map((kind) => [kind, wanting(kind)])) as unknown as Record<
      EventKind,
      readonly ChainAgent[]
    >
    this.#requestBody = new BodyTerms(wanting('request-body-chunk'))
    this.#responseBody = new BodyTerms(wanting('response-body-chunk'))
  }

  /** As of now: agents may come to say that they take less. */
  get requestBody(): BodyPlan {
    return this.#requestBody.plan
  }

  get responseBody(): BodyPlan {
    return this.#responseBody.plan
  }

  wants(kind: EventKind): boolean {
    return this.#byKind[kind].length > 0
  }

  agentsFor(kind: EventKind): readonly string[] {
    return this.#byKind[kind].map((agent) => agent.policy.name)
  }

  passUnseen(kind: EventKind): readonly string[] {
    for (const { pool } of this.#byKind[kind]) pool.countBypass('too-large')
    return this.agentsFor(kind)
  }

  /** The agents that get this kind of event, in order. */
  wanting(kind: EventKind): readonly ChainAgent[] {
    return this.#byKind[kind]
  }
}

/** How the agents of a chain see one body: as configured, and never more of it than each of them says it takes. */
class BodyTerms {
  readonly #agents: readonly ChainAgent[]
  readonly #configured: BodyPlan
  #inForce: BodyPlan

  constructor(agents: readonly ChainAgent[]) {
    this.#agents = agents
    this.#configured = strictest(agents)
    this.#inForce = this.#configured
  }

  get plan(): BodyPlan {
    let { maxBytes } = this.#configured
    for (const { pool } of this.#agents) maxBytes = Math.min(maxBytes, pool.maxBodyBytes)
    if (maxBytes !== this.#inForce.maxBytes) this.#inForce = Object.freeze({ ...this.#configured, maxBytes })
    return this.#inForce
  }
}

/** Buffering beats streaming, refusing beats skipping, and the smallest limits hold. */
function strictest(agents: readonly ChainAgent[]): BodyPlan {
  if (agents.length === 0) return NO_BODY
  const plans = agents.map((agent) => agent.policy.body)
  return Object.freeze({
    mode: plans.some((plan) => plan.mode === 'buffer') ? 'buffer' : 'stream',
    maxBytes: Math.min(...plans.map((plan) => plan.maxBytes)),
    onTooLarge: plans.some((plan) => plan.onTooLarge === 'reject') ? 'reject' : 'skip',
    aheadBytes: Math.min(...plans.map((plan) => plan.aheadBytes ?? DEFAULT_AHEAD_BYTES)),
  })
}
