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
} from '../../core/reply.ts'
import { unsigned32 } from '../shape/capabilities.ts'
import { malformed, put, unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import { status } from '../shape/replies.ts'
import { customText, customValue } from './custom-value.ts'
import * as proto from './proto-fields.ts'
import type { ProtoMessage } from './service.ts'

const WEBSOCKET_DECISIONS = ['allow', 'drop', 'close'] as const

/** @throws WeirError INVALID_ARGUMENT for a decision's status outside 100 to 599. */
export function protoReply(reply: AgentReply): ProtoMessage {
  return proto.present({
    correlation_id: reply.correlationId,
    ...fromDecision(reply.decision),
    request_headers: reply.requestHeaders.map(fromHeaderOp),
    response_headers: reply.responseHeaders.map(fromHeaderOp),
    audit: reply.audit === NO_AUDIT ? undefined : fromAudit(reply.audit),
    processing_time_ms: reply.processingTimeMs === undefined ? undefined : unsigned(reply.processingTimeMs),
    needs_more: reply.needsMore,
    request_body_mutation: fromMutation(reply.requestBodyMutation),
    response_body_mutation: fromMutation(reply.responseBodyMutation),
    routing_metadata: reply.routingMetadata,
    websocket_decision: fromWebSocketDecision(reply.websocketDecision),
  })
}

function fromDecision(decision: Decision): ProtoMessage {
  switch (decision.kind) {
    case 'allow':
      return { allow: {} }
    case 'block':
      return {
        block: proto.present({
          status: writableStatus(decision.status),
          body: decision.body,
          headers: decision.headers === undefined ? undefined : proto.plainHeaders(decision.headers),
        }),
      }
    case 'redirect':
      return { redirect: { url: decision.url, status: writableStatus(decision.status) } }
    case 'challenge':
      return { challenge: { challenge_type: decision.challengeType, params: decision.params } }
  }
}

function fromHeaderOp(op: HeaderOp): ProtoMessage {
  switch (op.op) {
    case 'set':
      return { set: { name: op.name, value: op.value } }
    case 'add':
      return { add: { name: op.name, value: op.value } }
    case 'remove':
      return { remove: op.name }
  }
}

function fromAudit(audit: Audit): ProtoMessage {
  const custom: Record<string, string> = {}
  for (const key of Object.keys(audit.custom)) put(custom, key, customText(audit.custom[key]))
  return proto.present({
    tags: audit.tags,
    rule_ids: audit.ruleIds,
    confidence: audit.confidence,
    reason_codes: audit.reasonCodes,
    custom,
  })
}

function fromMutation(mutation: BodyMutation | undefined): ProtoMessage | undefined {
  if (mutation === undefined) return undefined
  return proto.present({ data: mutation.data, chunk_index: unsigned32(mutation.chunkIndex) })
}

function fromWebSocketDecision(decision: WebSocketDecision | undefined): ProtoMessage | undefined {
  if (decision === undefined) return undefined
  const kind = WEBSOCKET_DECISIONS.indexOf(decision.kind) + 1
  return decision.kind === 'close'
    ? { kind, code: unsigned32(decision.code), reason: decision.reason }
    : { kind }
}

/** @throws WeirError PROTOCOL_ERROR when it has no decision or one that cannot be used. */
export function agentReply(of: ProtoMessage): AgentReply {
  const audit = proto.optionalMessage(of, 'audit')
  return {
    correlationId: proto.text(of, 'correlation_id'),
    decision: decision(of),
    requestHeaders: headerOps(proto.messages(of, 'request_headers')),
    responseHeaders: headerOps(proto.messages(of, 'response_headers')),
    routingMetadata:
      of['routing_metadata'] === undefined ? NO_METADATA : proto.textMap(of, 'routing_metadata'),
    audit: audit === undefined ? NO_AUDIT : auditOf(audit),
    needsMore: proto.flag(of, 'needs_more'),
    requestBodyMutation: mutation(proto.optionalMessage(of, 'request_body_mutation')),
    responseBodyMutation: mutation(proto.optionalMessage(of, 'response_body_mutation')),
    websocketDecision: webSocketDecision(proto.optionalMessage(of, 'websocket_decision')),
    processingTimeMs: proto.optionalNumber(of, 'processing_time_ms'),
  }
}

function decision(of: ProtoMessage): Decision {
  switch (of['decision']) {
    case 'allow':
      return ALLOW
    case 'block': {
      const parts = proto.message(of, 'block')
      return {
        kind: 'block',
        status: status(proto.number(parts, 'status'), 'block.status'),
        body: proto.optionalText(parts, 'body'),
        headers: parts['headers'] === undefined ? undefined : proto.headers(parts, 'headers'),
      }
    }
    case 'redirect': {
      const parts = proto.message(of, 'redirect')
      return {
        kind: 'redirect',
        url: proto.text(parts, 'url'),
        status: status(proto.number(parts, 'status'), 'redirect.status'),
      }
    }
    case 'challenge': {
      const parts = proto.message(of, 'challenge')
      return {
        kind: 'challenge',
        challengeType: proto.text(parts, 'challenge_type'),
        params: proto.textMap(parts, 'params'),
      }
    }
    default:
      throw malformed('decision', 'allow, block, redirect or challenge', of['decision'])
  }
}

/** An operation that names nothing is ignored. */
function headerOps(list: readonly ProtoMessage[]): readonly HeaderOp[] {
  if (list.length === 0) return NO_OPS
  const ops: HeaderOp[] = []
  for (const entry of list) {
    const op = entry['operation']
    if (op === 'set' || op === 'add') {
      const header = proto.message(entry, op)
      ops.push({ op, name: proto.text(header, 'name'), value: proto.text(header, 'value') })
    } else if (op === 'remove') ops.push({ op, name: proto.text(entry, 'remove') })
  }
  return ops
}

function auditOf(of: ProtoMessage): Audit {
  const texts = proto.textMap(of, 'custom')
  const custom: Record<string, unknown> = {}
  for (const key of Object.keys(texts)) {
    if (key !== 'correlation_id') put(custom, key, customValue(texts[key]!))
  }
  return {
    tags: proto.texts(of, 'tags'),
    ruleIds: proto.texts(of, 'rule_ids'),
    confidence: proto.optionalNumber(of, 'confidence'),
    reasonCodes: proto.texts(of, 'reason_codes'),
    custom,
  }
}

function mutation(of: ProtoMessage | undefined): BodyMutation | undefined {
  if (of === undefined) return undefined
  return { data: proto.optionalBytes(of, 'data'), chunkIndex: proto.number(of, 'chunk_index') }
}

function webSocketDecision(of: ProtoMessage | undefined): WebSocketDecision | undefined {
  if (of === undefined) return undefined
  const kind = WEBSOCKET_DECISIONS[proto.number(of, 'kind') - 1]
  if (kind === undefined) throw malformed('websocket_decision.kind', '1 to 3', of['kind'])
  if (kind !== 'close') return { kind }
  return { kind, code: proto.number(of, 'code'), reason: proto.text(of, 'reason') }
}
