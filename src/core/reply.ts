import type { HeaderList } from './event.ts'

export type Decision =
  | { readonly kind: 'allow' }
  | {
      readonly kind: 'block'
      /** HTTP status, 100 to 599. */
      readonly status: number
      readonly body?: string | undefined
      readonly headers?: HeaderList | undefined
    }
  | { readonly kind: 'redirect'; readonly url: string; readonly status: number }
  | {
      readonly kind: 'challenge'
      readonly challengeType: string
      readonly params: Readonly<Record<string, string>>
    }

/** `set` replaces all values of a name, `add` appends one, `remove` deletes by name. Applied in order. */
export type HeaderOp =
  | { readonly op: 'set' | 'add'; readonly name: string; readonly value: string }
  | { readonly op: 'remove'; readonly name: string }

export interface Audit {
  readonly tags: readonly string[]
  readonly ruleIds: readonly string[]
  /** 0 to 1. */
  readonly confidence?: number | undefined
  readonly reasonCodes: readonly string[]
  /** Keys of the agent's own; the wire's correlation id is not among them. */
  readonly custom: Readonly<Record<string, unknown>>
}

/** What to do with the body chunk that was asked about. Absent on a reply means: leave it. */
export interface BodyMutation {
  /** `undefined` leaves the chunk, empty drops it, anything else replaces it. */
  readonly data: Uint8Array | undefined
  readonly chunkIndex: number
}

export type WebSocketDecision =
  | { readonly kind: 'allow' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }

/** One agent's answer to one event. */
export interface AgentReply {
  readonly correlationId: string
  readonly decision: Decision
  readonly requestHeaders: readonly HeaderOp[]
  readonly responseHeaders: readonly HeaderOp[]
  readonly routingMetadata: Readonly<Record<string, string>>
  readonly audit: Audit
  /** The decision is provisional: send the next chunk. */
  readonly needsMore: boolean
  readonly requestBodyMutation?: BodyMutation | undefined
  readonly responseBodyMutation?: BodyMutation | undefined
  readonly websocketDecision?: WebSocketDecision | undefined
  /** Milliseconds the agent says it took. */
  readonly processingTimeMs?: number | undefined
}

/* Shared by every plain allow, so that the common reply allocates one object. Never mutate. */
export const ALLOW: Decision = Object.freeze({ kind: 'allow' })
export const NO_OPS: readonly HeaderOp[] = Object.freeze([])
export const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({})
export const NO_AUDIT: Audit = Object.freeze({
  tags: Object.freeze([]) as readonly string[],
  ruleIds: Object.freeze([]) as readonly string[],
  confidence: undefined,
  reasonCodes: Object.freeze([]) as readonly string[],
  custom: Object.freeze({}),
})

/** An allow that changes nothing. */
export function plainAllow(correlationId: string): AgentReply {
  return reply(correlationId, ALLOW)
}

/** A reply with every member present, so that all replies share one hidden class. */
export function reply(
  correlationId: string,
  decision: Decision,
  parts: Partial<AgentReply> = {},
): AgentReply {
  return {
    correlationId,
    decision,
    requestHeaders: parts.requestHeaders ?? NO_OPS,
    responseHeaders: parts.responseHeaders ?? NO_OPS,
    routingMetadata: parts.routingMetadata ?? NO_METADATA,
    audit: parts.audit ?? NO_AUDIT,
    needsMore: parts.needsMore ?? false,
    requestBodyMutation: parts.requestBodyMutation,
    responseBodyMutation: parts.responseBodyMutation,
    websocketDecision: parts.websocketDecision,
    processingTimeMs: parts.processingTimeMs,
  }
}
