import type { BodyChunkEvent } from '../core/event.ts'
import type { AgentCall } from './agent-call.ts'
import type { BodyRun } from './body-run.ts'
import { BodyShare } from './body-share.ts'
import type { Chain } from './chain.ts'

/** What a front end knows of a request before any event of it. */
export interface RequestFactsIn {
  /** Sticky session or hash key; undefined: none. */
  readonly sessionKey?: string | undefined
  /** Address without port; a limit may be keyed by it. */
  readonly clientIp: string
  /** Looks up a request header by lower-case name, for limits keyed by one. Called at most once per limit. */
  readonly header?: ((name: string) => string | undefined) | undefined
  readonly traceparent?: string | undefined
}

/** No pin: the request has no earlier event on that agent, or its pin idled out. */
export const UNPINNED = 0

/**
 * One proxied request on its way past a chain of agents: its correlation id and the connections that its
 * earlier events went to. Made by `Dispatcher.open`, ended by `Dispatcher.close`. Pins are ids, never
 * connections, so a scope keeps nothing alive.
 */
export class RequestScope {
  readonly chain: Chain
  readonly correlationId: string
  readonly facts: RequestFactsIn
  /** Bytes of the request body were handed on: fail-open can no longer pretend nothing happened. */
  requestBodyCommitted = false
  /** The same for the response body. */
  responseBodyCommitted = false
  isClosed = false
  /** Calls in flight for this request, newest first. */
  calls: AgentCall | null = null
  /* Neighbours among the open requests. Belong to the dispatcher. */
  openPrev: RequestScope | null = null
  openNext: RequestScope | null = null
  /** Made when the first piece of a body is dispatched. */
  #lastPieces: { request: BodyRun | null; response: BodyRun | null } | null = null
  #bodyShares: BodyShare | null = null
  #pinnedAgents: string[] | undefined
  /** Two numbers per pinned agent: id of the connection, and when it was last used, clock milliseconds. */
  #pins: number[] | undefined

  constructor(chain: Chain, correlationId: string, facts: RequestFactsIn) {
    this.chain = chain
    this.correlationId = correlationId
    this.facts = facts
  }

  /** Names of the agents that hold a pin of this request. */
  get pinnedAgents(): readonly string[] {
    return this.#pinnedAgents ?? []
  }

  /**
   * Notes that the agent's pin is used; returns false when that agent had no event of the request for longer than
   * `idleTtlMs` before. Pins of other agents age on: theirs were not used.
   */
  touch(agent: string, now: number, idleTtlMs: number): boolean {
    const index = this.#pinnedAgents?.indexOf(agent) ?? -1
    if (index < 0) return false
    const pins = this.#pins!
    const fresh = now - pins[2 * index + 1]! <= idleTtlMs
    pins[2 * index + 1] = now
    return fresh
  }

  /** Id of the connection to `agent` that has this request's earlier events, or UNPINNED. */
  pinOf(agent: string): number {
    const agents = this.#pinnedAgents
    if (agents === undefined) return UNPINNED
    const index = agents.indexOf(agent)
    return index < 0 ? UNPINNED : this.#pins![2 * index]!
  }

  pin(agent: string, connectionId: number, now: number): void {
    if (this.#pinnedAgents === undefined) {
      this.#pinnedAgents = [agent]
      this.#pins = [connectionId, now]
      return
    }
    const known = this.#pinnedAgents.indexOf(agent)
    const index = known < 0 ? this.#pinnedAgents.push(agent) - 1 : known
    const pins = this.#pins!
    pins[2 * index] = connectionId
    pins[2 * index + 1] = now
  }

  /** The youngest piece of a body whose verdict was not given; the next piece goes behind it. */
  lastPiece(kind: BodyChunkEvent['kind']): BodyRun | null {
    const last = this.#lastPieces
    if (last === null) return null
    return kind === 'request-body-chunk' ? last.request : last.response
  }

  setLastPiece(kind: BodyChunkEvent['kind'], piece: BodyRun | null): void {
    this.#lastPieces ??= { request: null, response: null }
    if (kind === 'request-body-chunk') this.#lastPieces.request = piece
    else this.#lastPieces.response = piece
  }

  /** What the agent has of that body; undefined: nothing yet. */
  bodyShareOf(agent: string, kind: BodyChunkEvent['kind']): BodyShare | undefined {
    for (let share = this.#bodyShares; share !== null; share = share.next)
      if (share.agent === agent && share.kind === kind) return share
    return undefined
  }

  /** As {@link bodyShareOf}, where it is to be written. */
  openBodyShare(agent: string, kind: BodyChunkEvent['kind']): BodyShare {
    const known = this.bodyShareOf(agent, kind)
    if (known !== undefined) return known
    this.#bodyShares = new BodyShare(agent, kind, this.#bodyShares)
    return this.#bodyShares
  }

  attach(call: AgentCall): void {
    call.scopeNext = this.calls
    if (this.calls !== null) this.calls.scopePrev = call
    this.calls = call
  }

  /** No-op for a call that was taken out before. */
  detach(call: AgentCall): void {
    if (call.scopePrev === null && this.calls !== call) return
    if (call.scopePrev !== null) call.scopePrev.scopeNext = call.scopeNext
    else this.calls = call.scopeNext
    if (call.scopeNext !== null) call.scopeNext.scopePrev = call.scopePrev
    call.scopePrev = null
    call.scopeNext = null
  }
}
