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
import { bodyBytes } from './body.ts'
import * as field from './fields.ts'
import { lowerCaseName } from './header-name.ts'

/** HTTP statuses that a decision may carry. */
const MIN_STATUS = 100
const MAX_STATUS = 599

/** @throws WeirError PROTOCOL_ERROR when it cannot be used; `replyId` still tells whose it was. */
export function agentReply(value: unknown): AgentReply {
  const reply = field.struct(value, 'reply')
  const audit = field.member(reply, 'audit', 5)
  return {
    correlationId: replyId(reply),
    decision: decision(field.member(reply, 'decision', 1)),
    requestHeaders: headerOps(field.member(reply, 'request_headers', 2), 'request_headers'),
    responseHeaders: headerOps(field.member(reply, 'response_headers', 3), 'response_headers'),
    routingMetadata: routing(field.member(reply, 'routing_metadata', 4)),
    audit: audit === undefined || audit === null ? NO_AUDIT : auditOf(field.struct(audit, 'audit')),
    needsMore: field.flagOr(field.member(reply, 'needs_more', 6), false, 'needs_more'),
    requestBodyMutation: mutation(field.member(reply, 'request_body_mutation', 7), 'request_body_mutation'),
    responseBodyMutation: mutation(
      field.member(reply, 'response_body_mutation', 8),
      'response_body_mutation',
    ),
    websocketDecision: webSocketDecision(field.member(reply, 'websocket_decision', 9)),
    processingTimeMs: field.optionalDecimal(
      field.member(reply, 'processing_time_ms', -1),
      'processing_time_ms',
    ),
  }
}

/** `audit.custom.correlation_id`, else the top level's; '' when there is neither. */
export function replyId(value: unknown): string {
  if (!Array.isArray(value) && !field.isRecord(value)) return ''
  const audit = field.member(value, 'audit', 5)
  if (Array.isArray(audit) || field.isRecord(audit)) {
    const custom = field.member(audit, 'custom', 4)
    if (field.isRecord(custom)) {
      const id = field.member(custom, 'correlation_id', -1)
      if (typeof id === 'string') return id
    }
  }
  const id = field.member(value, 'correlation_id', -1)
  return typeof id === 'string' ? id : ''
}

/** `"name"`, `{"name": null}` or `{"name": members}`. */
function variant(value: unknown, what: string): [name: string, members: unknown] {
  if (typeof value === 'string') return [value, null]
  if (field.isRecord(value)) {
    const keys = Object.keys(value)
    if (keys.length === 1) return [keys[0]!, value[keys[0]!]]
  }
  throw field.malformed(what, 'a name or an object with one key', value)
}

function decision(value: unknown): Decision {
  if (value === 'allow') return ALLOW
  const [name, members] = variant(value, 'decision')
  switch (name) {
    case 'allow':
      if (members === null) return ALLOW
      throw field.malformed('decision.allow', 'null', members)
    case 'block':
      return block(field.struct(members, 'decision.block'))
    case 'redirect': {
      const parts = field.struct(members, 'decision.redirect')
      return {
        kind: 'redirect',
        url: field.text(field.member(parts, 'url', 0), 'decision.redirect.url'),
        status: status(field.member(parts, 'status', 1), 'decision.redirect.status'),
      }
    }
    case 'challenge': {
      const parts = field.struct(members, 'decision.challenge')
      return {
        kind: 'challenge',
        challengeType: field.text(
          field.member(parts, 'challenge_type', 0),
          'decision.challenge.challenge_type',
        ),
        params: field.textMap(field.member(parts, 'params', 1), 'decision.challenge.params'),
      }
    }
    default:
      throw field.malformed('decision', 'allow, block, redirect or challenge', name)
  }
}

function block(parts: field.Struct): Decision {
  const headers = field.member(parts, 'headers', 2)
  return {
    kind: 'block',
    status: status(field.member(parts, 'status', 0), 'decision.block.status'),
    body: field.optionalText(field.member(parts, 'body', 1), 'decision.block.body'),
    headers: headers === undefined || headers === null ? undefined : blockHeaders(headers),
  }
}

function blockHeaders(value: unknown): string[] {
  const map = field.textMap(value, 'decision.block.headers')
  const headers: string[] = []
  for (const name of Object.keys(map)) headers.push(lowerCaseName(name), map[name]!)
  return headers
}

/** @throws WeirError PROTOCOL_ERROR outside 100 to 599. */
export function status(value: unknown, what: string): number {
  const number = field.count(value, what)
  if (number < MIN_STATUS || number > MAX_STATUS) {
    throw field.malformed(what, `${MIN_STATUS} to ${MAX_STATUS}`, value)
  }
  return number
}

function headerOps(value: unknown, what: string): readonly HeaderOp[] {
  const entries = field.list(value, what)
  if (entries.length === 0) return NO_OPS
  return entries.map((entry): HeaderOp => {
    const [op, members] = variant(entry, what)
    const parts = field.struct(members, what)
    const name = field.text(field.member(parts, 'name', 0), `${what}.name`)
    switch (op) {
      case 'set':
      case 'add':
        return { op, name, value: field.text(field.member(parts, 'value', 1), `${what}.value`) }
      case 'remove':
        return { op, name }
      default:
        throw field.malformed(what, 'set, add or remove', op)
    }
  })
}

function routing(value: unknown): Readonly<Record<string, string>> {
  if (field.isRecord(value) && Object.keys(value).length === 0) return NO_METADATA
  return field.textMap(value, 'routing_metadata')
}

function auditOf(audit: field.Struct): Audit {
  return {
    tags: field.textList(field.member(audit, 'tags', 0), 'audit.tags'),
    ruleIds: field.textList(field.member(audit, 'rule_ids', 1), 'audit.rule_ids'),
    confidence: field.optionalDecimal(field.member(audit, 'confidence', 2), 'audit.confidence'),
    reasonCodes: field.textList(field.member(audit, 'reason_codes', 3), 'audit.reason_codes'),
    custom: customWithoutId(field.member(audit, 'custom', 4)),
  }
}

function customWithoutId(value: unknown): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {}
  if (!field.isRecord(value)) throw field.malformed('audit.custom', 'an object', value)
  const custom: Record<string, unknown> = {}
  for (const key of Object.keys(value)) if (key !== 'correlation_id') field.put(custom, key, value[key])
  return custom
}

function mutation(value: unknown, what: string): BodyMutation | undefined {
  if (value === undefined || value === null) return undefined
  const parts = field.struct(value, what)
  const data = field.member(parts, 'data', 0)
  return {
    data: data === undefined || data === null ? undefined : bodyBytes(data, `${what}.data`),
    chunkIndex: field.countOr(field.member(parts, 'chunk_index', 1), 0, `${what}.chunk_index`),
  }
}

function webSocketDecision(value: unknown): WebSocketDecision | undefined {
  if (value === undefined || value === null) return undefined
  const [kind, members] = variant(value, 'websocket_decision')
  switch (kind) {
    case 'allow':
    case 'drop':
      return { kind }
    case 'close': {
      const parts = field.struct(members, 'websocket_decision.close')
      return {
        kind,
        code: field.count(field.member(parts, 'code', 0), 'websocket_decision.close.code', 0xffff),
        reason: field.text(field.member(parts, 'reason', 1), 'websocket_decision.close.reason'),
      }
    }
    default:
      throw field.malformed('websocket_decision', 'allow, drop or close', kind)
  }
}
