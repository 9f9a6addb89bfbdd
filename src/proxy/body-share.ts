import type { WeirError } from '../core/errors.ts'
import type { AgentEvent, BodyChunkEvent } from '../core/event.ts'
import type { BypassReason } from '../core/probe.ts'

/** How an agent came to miss a piece, and with it the rest of the body. */
interface Missed {
  readonly reason: BypassReason
  readonly failure: WeirError
}

/** What one agent has of one body of a request; made with the first piece that it gets or misses. */
export class BodyShare {
  readonly agent: string
  readonly kind: BodyChunkEvent['kind']
  /** The next one of the request. */
  readonly next: BodyShare | null
  /** Id of the connection that has the pieces so far, or what came before them; 0: that of the pin. */
  connectionId = 0
  /** The body went on without the agent; null: it did not. */
  missed: Missed | null = null

  constructor(agent: string, kind: BodyChunkEvent['kind'], next: BodyShare | null) {
    this.agent = agent
    this.kind = kind
    this.next = next
  }
}

/** Narrows an event to a piece of a body. */
export function isPiece(event: AgentEvent): event is BodyChunkEvent {
  return event.kind === 'request-body-chunk' || event.kind === 'response-body-chunk'
}
