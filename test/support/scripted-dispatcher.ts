import type { CancelReason } from '../../src/core/agent-messages.ts'
import { CorrelationIds } from '../../src/core/correlation-id.ts'
import { WeirError } from '../../src/core/errors.ts'
import type { AgentEvent, EventKind, RequestCompleteEvent } from '../../src/core/event.ts'
import { ALLOW, NO_AUDIT, NO_METADATA, NO_OPS } from '../../src/core/reply.ts'
import { type BodyPlan, type Chain, NO_BODY } from '../../src/proxy/chain.ts'
import type { Dispatcher } from '../../src/proxy/dispatcher.ts'
import { type RequestFactsIn, RequestScope } from '../../src/proxy/request-scope.ts'
import type { Verdict } from '../../src/proxy/verdict.ts'

/** The event type whose `kind` may be `Kind`. */
type EventOf<Kind extends EventKind> = AgentEvent extends infer Event
  ? Event extends AgentEvent
    ? Kind extends Event['kind']
      ? Event
      : never
    : never
  : never

/** What to answer to an event; undefined: a plain allow. */
export type Script = (event: AgentEvent) => Partial<Verdict> | Promise<Partial<Verdict>> | undefined

/** A verdict with everything that is not given left at "allow, change nothing". */
export function verdict(parts: Partial<Verdict> = {}): Verdict {
  return {
    decision: ALLOW,
    decidedBy: undefined,
    error: undefined,
    requestHeaders: NO_OPS,
    responseHeaders: NO_OPS,
    routingMetadata: NO_METADATA,
    audit: NO_AUDIT,
    needsMore: false,
    bodyMutation: undefined,
    websocketDecision: undefined,
    bypassed: [],
    ...parts,
  }
}

/** A verdict that refuses because an agent failed. */
export function failure(error: WeirError): Partial<Verdict> {
  return { decision: { kind: 'block', status: error.httpStatus }, decidedBy: 'scripted', error }
}

export interface ScriptedChain {
  readonly wants?: readonly EventKind[]
  readonly requestBody?: BodyPlan
  readonly responseBody?: BodyPlan
}

export function scriptedChain(parts: ScriptedChain = {}): Chain {
  const wanted = new Set(parts.wants ?? [])
  return {
    name: 'scripted',
    requestBody: parts.requestBody ?? NO_BODY,
    responseBody: parts.responseBody ?? NO_BODY,
    wants: (kind) => wanted.has(kind),
    passUnseen: (kind) => (wanted.has(kind) ? ['scripted'] : []),
    agentsFor: (kind) => (wanted.has(kind) ? ['scripted'] : []),
  }
}

/**
 * A dispatcher without agents, for tests of front ends: answers by a script and notes what it was asked and how
 * requests ended. Holds front ends to the contract: ids match, nothing is asked after the end.
 */
export class ScriptedDispatcher implements Dispatcher {
  readonly events: AgentEvent[] = []
  readonly scopes: RequestScope[] = []
  readonly summaries: (RequestCompleteEvent | undefined)[] = []
  readonly aborts: CancelReason[] = []
  /** Breaches of the contract; tests assert that there are none. */
  readonly breaches: string[] = []
  /** Thrown by `open` when set. */
  refusal: WeirError | undefined
  script: Script
  openRequests = 0
  readonly #ids = new CorrelationIds()

  constructor(script: Script = () => undefined) {
    this.script = script
  }

  open(chain: Chain, facts: RequestFactsIn): RequestScope {
    if (this.refusal !== undefined) throw this.refusal
    const scope = new RequestScope(chain, this.#ids.next(), facts)
    this.scopes.push(scope)
    this.openRequests++
    return scope
  }

  async dispatch(event: AgentEvent, scope: RequestScope): Promise<Verdict> {
    if (scope.isClosed) this.breaches.push(`${event.kind} after the end`)
    if (event.correlationId !== scope.correlationId) this.breaches.push(`${event.kind} with a foreign id`)
    if (!scope.chain.wants(event.kind)) this.breaches.push(`${event.kind} that nobody wants`)
    this.events.push(event)
    return verdict((await this.script(event)) ?? {})
  }

  close(scope: RequestScope, summary: RequestCompleteEvent | undefined): void {
    if (scope.isClosed) return
    scope.isClosed = true
    this.openRequests--
    this.summaries.push(summary)
  }

  abort(scope: RequestScope, reason: CancelReason): void {
    if (scope.isClosed) return
    this.aborts.push(reason)
    this.close(scope, undefined)
  }

  drain(): Promise<void> {
    this.refusal = new WeirError('DRAINING', 'draining', { sent: false })
    return Promise.resolve()
  }

  /** The events of one kind, in order. */
  of<Kind extends EventKind>(kind: Kind): EventOf<Kind>[] {
    return this.events.filter((event): event is EventOf<Kind> => event.kind === kind)
  }
}
