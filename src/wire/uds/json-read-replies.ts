import {
  type AgentReply,
  ALLOW,
  type Decision,
  type HeaderOp,
  NO_AUDIT,
  NO_METADATA,
  NO_OPS,
} from '../../core/reply.ts'
import { TextCursor } from './text-cursor.ts'

/*
 * Fast reader of allows and blocks without extras, in the key order that Weir and the reference agent write.
 * Anything else gives null and is read by `JSON.parse`. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new TextCursor()
const COMMA = 0x2c
const CLOSE_BRACKET = 0x5d

const UP_TO_ID =
  '],"routing_metadata":{},"audit":{"tags":[],"rule_ids":[],"confidence":null,"reason_codes":[],"custom":{"correlation_id":'
const NEEDS_NO_MORE = '}},"needs_more":false,'
const NEEDS_MORE = '}},"needs_more":true,'
const TO_THE_END = '"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null'

export function readReplyJson(bytes: Buffer, start: number, end: number): AgentReply | null {
  const reply = cursor.open(bytes, start, end) ? plainReply() : null
  cursor.close()
  return reply
}

function plainReply(): AgentReply | null {
  if (!cursor.skip('{"version":2,"decision":')) return null
  const decision = cursor.skip('"allow"') ? ALLOW : block()
  if (decision === null || !cursor.skip(',"request_headers":[')) return null
  const requestHeaders = ops()
  if (requestHeaders === null || !cursor.skip('],"response_headers":[')) return null
  const responseHeaders = ops()
  if (responseHeaders === null || !cursor.skip(UP_TO_ID)) return null
  const correlationId = cursor.string()
  if (correlationId === null) return null
  const needsMore = !cursor.skip(NEEDS_NO_MORE)
  if (needsMore && !cursor.skip(NEEDS_MORE)) return null
  if (!cursor.skip(TO_THE_END)) return null
  if (cursor.skip(',"correlation_id":') && cursor.string() === null) return null
  const processingTimeMs = cursor.skip(',"processing_time_ms":') ? cursor.integer() : undefined
  if (processingTimeMs === -1 || !cursor.skip('}') || !cursor.isAtEnd) return null
  return {
    correlationId,
    decision,
    requestHeaders,
    responseHeaders,
    routingMetadata: NO_METADATA,
    audit: NO_AUDIT,
    needsMore,
    requestBodyMutation: undefined,
    responseBodyMutation: undefined,
    websocketDecision: undefined,
    processingTimeMs,
  }
}

function block(): Decision | null {
  if (!cursor.skip('{"block":{"status":')) return null
  const status = cursor.integer()
  if (status < 100 || status > 599 || !cursor.skip(',"body":')) return null
  let body: string | undefined
  if (!cursor.skip('null')) {
    const text = cursor.string()
    if (text === null) return null
    body = text
  }
  return cursor.skip(',"headers":null}}') ? { kind: 'block', status, body, headers: undefined } : null
}

/** Up to the closing bracket, which stays. */
function ops(): readonly HeaderOp[] | null {
  if (cursor.next() === CLOSE_BRACKET) return NO_OPS
  const list: HeaderOp[] = []
  for (;;) {
    const op = oneOp()
    if (op === null) return null
    list.push(op)
    if (cursor.next() !== COMMA) return list
    cursor.at++
  }
}

function oneOp(): HeaderOp | null {
  const op = cursor.skip('{"set":{"name":') ? 'set' : cursor.skip('{"add":{"name":') ? 'add' : 'remove'
  if (op === 'remove' && !cursor.skip('{"remove":{"name":')) return null
  const name = cursor.string()
  if (name === null) return null
  if (op === 'remove') return cursor.skip('}}') ? { op, name } : null
  if (!cursor.skip(',"value":')) return null
  const value = cursor.string()
  return value !== null && cursor.skip('}}') ? { op, name, value } : null
}
