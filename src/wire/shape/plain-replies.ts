import { WeirError } from '../../core/errors.ts'
import type { AgentReply, BodyMutation, Decision, HeaderOp, WebSocketDecision } from '../../core/reply.ts'
import { base64Of } from './body.ts'
import { put, unsigned } from './fields.ts'
import { singleHeadersToMap } from './headers.ts'

/**
 * A reply as the plain object that JSON and MessagePack frames hold, every member present, its correlation id
 * both where peers look for it (`audit.custom`) and at the top.
 * @throws WeirError INVALID_ARGUMENT for a decision's status outside 100 to 599.
 */
export function plainReply(reply: AgentReply): Record<string, unknown> {
  const { audit } = reply
  const custom: Record<string, unknown> = {}
  for (const key of Object.keys(audit.custom)) put(custom, key, audit.custom[key])
  custom['correlation_id'] = reply.correlationId
  return {
    version: 2,
    correlation_id: reply.correlationId,
    decision: plainDecision(reply.decision),
    request_headers: reply.requestHeaders.map(plainHeaderOp),
    response_headers: reply.responseHeaders.map(plainHeaderOp),
    routing_metadata: reply.routingMetadata,
    audit: {
      tags: audit.tags,
      rule_ids: audit.ruleIds,
      confidence: audit.confidence ?? null,
      reason_codes: audit.reasonCodes,
      custom,
    },
    needs_more: reply.needsMore,
    request_body_mutation: plainMutation(reply.requestBodyMutation),
    response_body_mutation: plainMutation(reply.responseBodyMutation),
    websocket_decision: plainWebSocketDecision(reply.websocketDecision),
    /* A key of Weir's own, which other peers skip. */
    ...(reply.processingTimeMs === undefined ? {} : { processing_time_ms: unsigned(reply.processingTimeMs) }),
  }
}

function plainDecision(decision: Decision): unknown {
  switch (decision.kind) {
    case 'allow':
      return 'allow'
    case 'block':
      return {
        block: {
          status: writableStatus(decision.status),
          body: decision.body ?? null,
          headers: decision.headers === undefined ? null : singleHeadersToMap(decision.headers),
        },
      }
    case 'redirect':
      return { redirect: { url: decision.url, status: writableStatus(decision.status) } }
    case 'challenge':
      return { challenge: { challenge_type: decision.challengeType, params: decision.params } }
  }
}

/** @throws WeirError INVALID_ARGUMENT: a peer would take the whole reply for malformed. */
export function writableStatus(status: number): number {
  if (Number.isInteger(status) && status >= 100 && status <= 599) return status
  throw new WeirError('INVALID_ARGUMENT', `decision status ${status}: use 100 to 599`, { sent: false })
}

function plainHeaderOp(op: HeaderOp): unknown {
  switch (op.op) {
    case 'set':
      return { set: { name: op.name, value: op.value } }
    case 'add':
      return { add: { name: op.name, value: op.value } }
    case 'remove':
      return { remove: { name: op.name } }
  }
}

function plainMutation(mutation: BodyMutation | undefined): unknown {
  if (mutation === undefined) return null
  return {
    data: mutation.data === undefined ? null : base64Of(mutation.data),
    chunk_index: unsigned(mutation.chunkIndex),
  }
}

function plainWebSocketDecision(decision: WebSocketDecision | undefined): unknown {
  if (decision === undefined) return null
  if (decision.kind !== 'close') return decision.kind
  return { close: { code: unsigned(decision.code), reason: decision.reason } }
}
