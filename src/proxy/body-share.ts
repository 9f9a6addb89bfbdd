import type { AgentEvent, BodyChunkEvent } from '../core/event.ts'

/** What one agent has of one body of a request; made with the first piece that it gets. */
export class BodyShare {
  readonly agent: string
  readonly kind: BodyChunkEvent['kind']
  /** The next one of the request. */
  readonly next: BodyShare | null
  /** Id of the connection that has the pieces so far; 0: none has any. */
  connectionId = 0

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
