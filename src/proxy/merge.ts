import type { WeirError } from '../core/errors.ts'
import type { EventKind } from '../core/event.ts'
import {
  type AgentReply,
  ALLOW,
  type Audit,
  type BodyMutation,
  type Decision,
  type HeaderOp,
  NO_AUDIT,
  NO_METADATA,
  NO_OPS,
  type WebSocketDecision,
} from '../core/reply.ts'
import type { Bypass, Verdict } from './verdict.ts'

export const NO_BYPASS: readonly Bypass[] = Object.freeze([])

/**
 * Folds the replies of a chain into one verdict. Allows add up: header operations in order, audits united,
 * routing metadata with the later agent's word, `needsMore` of any. The first other decision stands alone.
 */
export class VerdictDraft {
  #requestHeaders: readonly HeaderOp[] = NO_OPS
  #responseHeaders: readonly HeaderOp[] = NO_OPS
  #routingMetadata: Readonly<Record<string, string>> = NO_METADATA
  #audit: Audit = NO_AUDIT
  #needsMore = false
  #bodyMutation: BodyMutation | undefined
  #websocketDecision: WebSocketDecision | undefined
  #bypassed: Bypass[] | undefined

  addAllow(reply: AgentReply, kind: EventKind): void {
    this.#addWords(reply)
    this.#needsMore ||= reply.needsMore
    /* A mutation that leaves the chunk must not undo what an earlier agent made of it. */
    const mutation = mutationOf(reply, kind)
    if (mutation?.data !== undefined) this.#bodyMutation = mutation
  }

  #addWords(reply: AgentReply): void {
    this.#requestHeaders = concat(this.#requestHeaders, reply.requestHeaders)
    this.#responseHeaders = concat(this.#responseHeaders, reply.responseHeaders)
    if (reply.routingMetadata !== NO_METADATA) {
      this.#routingMetadata =
        this.#routingMetadata === NO_METADATA
          ? reply.routingMetadata
          : { ...this.#routingMetadata, ...reply.routingMetadata }
    }
    this.#audit = unite(this.#audit, reply.audit)
    if (reply.websocketDecision !== undefined) this.#websocketDecision = reply.websocketDecision
  }

  addBypass(bypass: Bypass): void {
    this.#bypassed ??= []
    this.#bypassed.push(bypass)
  }

  /** All agents allowed, or were skipped. */
  allowed(): Verdict {
    return this.#verdict(ALLOW, undefined, undefined)
  }

  /** One agent decided otherwise: its operations and audit alone count. */
  decided(agent: string, reply: AgentReply): Verdict {
    const alone = new VerdictDraft()
    alone.#addWords(reply)
    alone.#bypassed = this.#bypassed
    return alone.#verdict(reply.decision, agent, undefined)
  }

  /** A failure that its agent's mode does not forgive; without an agent, one of ours. */
  denied(agent: string | undefined, error: WeirError): Verdict {
    const alone = new VerdictDraft()
    alone.#bypassed = this.#bypassed
    const decision: Decision = {
      kind: 'block',
      status: error.httpStatus,
      body: undefined,
      headers: undefined,
    }
    return alone.#verdict(decision, agent, error)
  }

  #verdict(decision: Decision, decidedBy: string | undefined, error: WeirError | undefined): Verdict {
    return {
      decision,
      decidedBy,
      error,
      requestHeaders: this.#requestHeaders,
      responseHeaders: this.#responseHeaders,
      routingMetadata: this.#routingMetadata,
      audit: this.#audit,
      needsMore: this.#needsMore,
      bodyMutation: this.#bodyMutation,
      websocketDecision: this.#websocketDecision,
      bypassed: this.#bypassed ?? NO_BYPASS,
    }
  }
}

/** What a reply says of the chunk it was asked about; undefined for events that are no chunk. */
export function mutationOf(reply: AgentReply, kind: EventKind): BodyMutation | undefined {
  switch (kind) {
    case 'request-body-chunk':
      return reply.requestBodyMutation
    case 'response-body-chunk':
      return reply.responseBodyMutation
    default:
      return undefined
  }
}

/**
 * Whether a reply ends the chain. A decision on a body chunk with `needsMore` is provisional, unless the chunk
 * is the last: then there is no more to wait for. A frame that is not let through ends it too.
 */
export function isFinalRefusal(reply: AgentReply, kind: EventKind, isLastChunk: boolean): boolean {
  if (kind === 'websocket-frame') {
    const frame = reply.websocketDecision
    if (frame !== undefined) return frame.kind !== 'allow'
  }
  if (reply.decision.kind === 'allow') return false
  const isBody = kind === 'request-body-chunk' || kind === 'response-body-chunk'
  return !(isBody && reply.needsMore && !isLastChunk)
}

function concat<T>(first: readonly T[], second: readonly T[]): readonly T[] {
  if (second.length === 0) return first
  if (first.length === 0) return second
  return [...first, ...second]
}

function unite(first: Audit, second: Audit): Audit {
  if (second === NO_AUDIT) return first
  if (first === NO_AUDIT) return second
  return {
    tags: union(first.tags, second.tags),
    ruleIds: union(first.ruleIds, second.ruleIds),
    confidence: second.confidence ?? first.confidence,
    reasonCodes: union(first.reasonCodes, second.reasonCodes),
    custom: { ...first.custom, ...second.custom },
  }
}

function union(first: readonly string[], second: readonly string[]): readonly string[] {
  if (second.length === 0) return first
  if (first.length === 0) return second
  return [...new Set([...first, ...second])]
}
