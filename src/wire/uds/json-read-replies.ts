import {
  type AgentReply,
  ALLOW,
  type Decision,
  type HeaderOp,
  NO_AUDIT,
  NO_METADATA,
  NO_OPS,
} from '../../core/reply.ts'
import { runOf } from '../runs.ts'
import { JsonCursor } from './json-cursor.ts'

/*
 * Fast reader of allows and blocks without extras, in the key order that Weir and the reference agent write.
 * Anything else gives null and is read by `JSON.parse`. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new JsonCursor()
const COMMA = 0x2c
const CLOSE_BRACKET = 0x5d

const START = runOf('{"version":2,"decision":')
const ALLOWED = runOf('"allow","request_headers":[')
const BLOCKED = runOf('{"block":{"status":')
const BLOCK_BODY = runOf(',"body":')
const NULL = runOf('null')
const BLOCK_END = runOf(',"headers":null}},"request_headers":[')
const RESPONSE_HEADERS = runOf('],"response_headers":[')
const UP_TO_ID = runOf(
  '],"routing_metadata":{},"audit":{"tags":[],"rule_ids":[],"confidence":null,"reason_codes":[],"custom":{"correlation_id":"',
)
const MUTATIONS = '"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null'
const NEEDS_NO_MORE = runOf(`}},"needs_more":false,${MUTATIONS}`)
const NEEDS_MORE = runOf(`}},"needs_more":true,${MUTATIONS}`)
const OUTER_ID = runOf(',"correlation_id":"')
const PROCESSING_TIME = runOf(',"processing_time_ms":')
const SET = runOf('{"set":{"name":"')
const ADD = runOf('{"add":{"name":"')
const REMOVE = runOf('{"remove":{"name":"')
const VALUE = runOf(',"value":"')
const OP_END = runOf('}}')
const CLOSE_BRACE = 0x7d

export function readReplyJson(bytes: Buffer, start: number, end: number): AgentReply | null {
  const reply = cursor.open(bytes, start, end) ? plainReply() : null
  cursor.close()
  return reply
}

function plainReply(): AgentReply | null {
  if (!cursor.skip(START)) return null
  const decision = cursor.skip(ALLOWED) ? ALLOW : block()
  if (decision === null) return null
  const requestHeaders = ops()
  if (requestHeaders === null || !cursor.skip(RESPONSE_HEADERS)) return null
  const responseHeaders = ops()
  if (responseHeaders === null || !cursor.skip(UP_TO_ID)) return null
  const correlationId = cursor.rest()
  if (correlationId === null) return null
  const needsMore = !cursor.skip(NEEDS_NO_MORE)
  if (needsMore && !cursor.skip(NEEDS_MORE)) return null
  if (cursor.skip(OUTER_ID) && cursor.rest() === null) return null
  const processingTimeMs = cursor.skip(PROCESSING_TIME) ? cursor.integer() : undefined
  if (processingTimeMs === -1 || !cursor.skipByte(CLOSE_BRACE) || !cursor.isAtEnd) return null
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
  if (!cursor.skip(BLOCKED)) return null
  const status = cursor.integer()
  if (status < 100 || status > 599 || !cursor.skip(BLOCK_BODY)) return null
  let body: string | undefined
  if (!cursor.skip(NULL)) {
    const text = cursor.string()
    if (text === null) return null
    body = text
  }
  return cursor.skip(BLOCK_END) ? { kind: 'block', status, body, headers: undefined } : null
}

/** Up to the closing bracket, which stays. */
function ops(): readonly HeaderOp[] | null {
  if (cursor.next() === CLOSE_BRACKET) return NO_OPS
  const list: HeaderOp[] = []
  for (;;) {
    const op = oneOp()
    if (op === null) return null
    list.push(op)
    if (!cursor.skipByte(COMMA)) return list
  }
}

function oneOp(): HeaderOp | null {
  const op = cursor.skip(SET) ? 'set' : cursor.skip(ADD) ? 'add' : 'remove'
  if (op === 'remove' && !cursor.skip(REMOVE)) return null
  const name = cursor.rest()
  if (name === null) return null
  if (op === 'remove') return cursor.skip(OP_END) ? { op, name } : null
  if (!cursor.skip(VALUE)) return null
  const value = cursor.rest()
  return value !== null && cursor.skip(OP_END) ? { op, name, value } : null
}
