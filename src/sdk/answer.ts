import { WeirError } from '../core/errors.ts'
import type { AgentEvent, HeaderList } from '../core/event.ts'
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
  plainAllow,
  type WebSocketDecision,
} from '../core/reply.ts'
import { requireHeaderName, requireHeaderValue, requireStatus } from './answer-checks.ts'
import { GUARDRAIL_RESPONSE, type GuardrailResult, guardrailText } from './guardrail-result.ts'

/**
 * What a handler returns. Made by `allow()`, `block()`, `redirect()`, `challenge()` and their kin; the methods add to it
 * and return it. Wrong values throw at once, which answers the event with a block.
 */
export class Answer {
  readonly #decision: Decision
  #requestHeaders: HeaderOp[] | undefined
  #responseHeaders: HeaderOp[] | undefined
  #tags: string[] | undefined
  #ruleIds: string[] | undefined
  #reasonCodes: string[] | undefined
  #confidence: number | undefined
  #custom: Record<string, unknown> | undefined
  #routing: Record<string, string> | undefined
  #body: Uint8Array | undefined
  #frame: WebSocketDecision | undefined
  #needsMore = false

  constructor(decision: Decision) {
    this.#decision = decision
  }

  /** The upstream sees this value instead of all values the name had. */
  setRequestHeader(name: string, value: string): this {
    return this.#request({ op: 'set', ...header(name, value) })
  }

  addRequestHeader(name: string, value: string): this {
    return this.#request({ op: 'add', ...header(name, value) })
  }

  removeRequestHeader(name: string): this {
    return this.#request({ op: 'remove', name: requireHeaderName(name) })
  }

  /** The client sees this value instead of all values the name had. */
  setResponseHeader(name: string, value: string): this {
    return this.#response({ op: 'set', ...header(name, value) })
  }

  addResponseHeader(name: string, value: string): this {
    return this.#response({ op: 'add', ...header(name, value) })
  }

  removeResponseHeader(name: string): this {
    return this.#response({ op: 'remove', name: requireHeaderName(name) })
  }

  /** Marks the request in the proxy's audit log. */
  addTag(...tags: readonly string[]): this {
    this.#tags = [...(this.#tags ?? []), ...tags]
    return this
  }

  /** Rules that matched. */
  addRule(...ruleIds: readonly string[]): this {
    this.#ruleIds = [...(this.#ruleIds ?? []), ...ruleIds]
    return this
  }

  /** Machine-readable reasons of the decision. */
  addReason(...codes: readonly string[]): this {
    this.#reasonCodes = [...(this.#reasonCodes ?? []), ...codes]
    return this
  }

  /** How sure the agent is, 0 to 1. */
  withConfidence(confidence: number): this {
    if (!(confidence >= 0 && confidence <= 1))
      throw new WeirError('INVALID_ARGUMENT', `confidence is ${confidence}; give a number from 0 to 1`)
    this.#confidence = confidence
    return this
  }

  /** A fact of the agent's own for the audit log; any JSON value. */
  withAudit(key: string, value: unknown): this {
    this.#custom = { ...this.#custom, [key]: value }
    return this
  }

  /** A hint for the proxy's routing. Over gRPC only Weir reads it. */
  withRouting(key: string, value: string): this {
    this.#routing = { ...this.#routing, [key]: value }
    return this
  }

  /** Puts these bytes in the place of the body chunk that was asked about. Over gRPC only Weir can: others block. */
  replaceBody(data: Uint8Array | string): this {
    this.#body = typeof data === 'string' ? Buffer.from(data) : data
    return this
  }

  /** Drops the body chunk that was asked about. Over gRPC only Weir can: others block. */
  dropBody(): this {
    return this.replaceBody(new Uint8Array(0))
  }

  /** The decision is provisional: the proxy sends the next chunk. */
  needsMore(): this {
    this.#needsMore = true
    return this
  }

  /** What happens to the WebSocket frame that was asked about. */
  withFrame(decision: WebSocketDecision): this {
    this.#frame = decision
    return this
  }

  /** The message that answers `event`. Written out member by member: it is made for every event. */
  toReply(event: AgentEvent): AgentReply {
    const mutation = this.#body === undefined ? undefined : bodyMutation(event, this.#body)
    return {
      correlationId: event.correlationId,
      decision: this.#decision,
      requestHeaders: this.#requestHeaders ?? NO_OPS,
      responseHeaders: this.#responseHeaders ?? NO_OPS,
      routingMetadata: this.#routing ?? NO_METADATA,
      audit: this.#audit(),
      needsMore: this.#needsMore,
      requestBodyMutation: event.kind === 'request-body-chunk' ? mutation : undefined,
      responseBodyMutation: event.kind === 'response-body-chunk' ? mutation : undefined,
      websocketDecision: this.#frame,
      processingTimeMs: undefined,
    }
  }

  #audit(): Audit {
    const confidence = this.#confidence
    if ((this.#tags ?? this.#ruleIds ?? this.#reasonCodes ?? confidence ?? this.#custom) === undefined)
      return NO_AUDIT
    return {
      tags: this.#tags ?? NO_AUDIT.tags,
      ruleIds: this.#ruleIds ?? NO_AUDIT.ruleIds,
      confidence,
      reasonCodes: this.#reasonCodes ?? NO_AUDIT.reasonCodes,
      custom: this.#custom ?? NO_AUDIT.custom,
    }
  }

  #request(op: HeaderOp): this {
    if (this.#requestHeaders === undefined) this.#requestHeaders = [op]
    else this.#requestHeaders.push(op)
    return this
  }

  #response(op: HeaderOp): this {
    if (this.#responseHeaders === undefined) this.#responseHeaders = [op]
    else this.#responseHeaders.push(op)
    return this
  }
}

/** Lets the request pass, changed by whatever is added to the answer. */
export function allow(): Answer {
  return new Answer(ALLOW)
}

/** Refuses the request. `status`: 100 to 599; `headers` are sent to the client. */
export function block(status = 403, body?: string, headers?: Readonly<Record<string, string>>): Answer {
  return new Answer({ kind: 'block', status: requireStatus(status), body, headers: flatten(headers) })
}

/** Sends the client elsewhere. `status`: 301, 302, 303, 307 or 308. */
export function redirect(url: string, status = 302): Answer {
  if (![301, 302, 303, 307, 308].includes(status))
    throw new WeirError('INVALID_ARGUMENT', `redirect status is ${status}; use 301, 302, 303, 307 or 308`)
  return new Answer({ kind: 'redirect', url: requireHeaderValue('location', url), status })
}

/**
 * Asks the client to prove itself. The parameter `www-authenticate` becomes that header of a 401; without it proxies
 * answer 403 with the parameter `body`.
 */
export function challenge(challengeType: string, params: Readonly<Record<string, string>> = {}): Answer {
  for (const [name, value] of Object.entries(params)) if (name !== 'body') requireHeaderValue(name, value)
  return new Answer({ kind: 'challenge', challengeType, params })
}

/** Allows a body chunk with these bytes in its place. */
export function replaceBody(data: Uint8Array | string): Answer {
  return allow().replaceBody(data)
}

/** Allows provisionally: the next chunk is needed to decide. */
export function needsMore(): Answer {
  return allow().needsMore()
}

/** Drops a WebSocket frame; the connection lives on. Over gRPC only Weir can: others get a block. */
export function dropFrame(): Answer {
  return allow().withFrame({ kind: 'drop' })
}

/** Ends a WebSocket connection. `code`: 1000 to 4999. */
export function closeWebSocket(code = 1008, reason = ''): Answer {
  if (!Number.isInteger(code) || code < 1000 || code > 4999)
    throw new WeirError('INVALID_ARGUMENT', `close code is ${code}; use 1000 to 4999`)
  return allow().withFrame({ kind: 'close', code, reason })
}

/** What an inspected prompt or response contains. */
export function inspected(result: GuardrailResult): Answer {
  return allow().withRouting(GUARDRAIL_RESPONSE, guardrailText(result))
}

/** The reply for whatever a handler returned. @throws WeirError when it is not an answer. */
export function replyFor(event: AgentEvent, returned: unknown): AgentReply {
  if (returned === undefined) return plainAllow(event.correlationId)
  if (returned instanceof Answer) return returned.toReply(event)
  throw new WeirError(
    'INTERNAL',
    `the handler of ${event.kind} returned ${describe(returned)}; return allow(), block(), ... or nothing`,
  )
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'object' ? `a ${value.constructor?.name ?? 'bare object'}` : `a ${typeof value}`
}

function header(name: string, value: string): { name: string; value: string } {
  return { name: requireHeaderName(name), value: requireHeaderValue(name, value) }
}

function flatten(headers: Readonly<Record<string, string>> | undefined): HeaderList | undefined {
  if (headers === undefined) return undefined
  const list: string[] = []
  for (const [name, value] of Object.entries(headers))
    list.push(requireHeaderName(name), requireHeaderValue(name, value))
  return list
}

function bodyMutation(event: AgentEvent, data: Uint8Array): BodyMutation {
  if (event.kind !== 'request-body-chunk' && event.kind !== 'response-body-chunk')
    throw new WeirError('INTERNAL', `a ${event.kind} event has no body to replace; ask for body events`)
  return { data, chunkIndex: event.chunkIndex }
}
