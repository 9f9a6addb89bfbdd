import {
  type AgentReply,
  ALLOW,
  type Decision,
  type HeaderOp,
  NO_AUDIT,
  NO_METADATA,
  NO_OPS,
} from '../../core/reply.ts'
import { MsgpackCursor } from './msgpack-cursor.ts'
import * as key from './msgpack-keys.ts'

/*
 * Fast reader of allows and blocks without extras, as maps in the key order that Weir and the reference agent
 * write. Anything else gives null. Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new MsgpackCursor()

export function readReplyMsgpack(bytes: Buffer, start: number, end: number): AgentReply | null {
  const reply = cursor.open(bytes, start, end) ? plainReply() : null
  cursor.close()
  return reply
}

function plainReply(): AgentReply | null {
  const hasTime = cursor.skip(key.REPLY_START_WITH_TIME)
  const hasOuterId = hasTime || cursor.skip(key.REPLY_START_WITH_ID)
  if (!hasOuterId && !cursor.skip(key.REPLY_START)) return null
  const decision = cursor.skip(key.ALLOW_NAME) ? ALLOW : block()
  if (decision === null || !cursor.skip(key.REQUEST_OPS_KEY)) return null
  const requestHeaders = ops()
  if (requestHeaders === null || !cursor.skip(key.RESPONSE_OPS_KEY)) return null
  const responseHeaders = ops()
  if (responseHeaders === null || !cursor.skip(key.UP_TO_ID)) return null
  const correlationId = cursor.string()
  if (correlationId === null || !cursor.skip(key.NEEDS_MORE_KEY)) return null
  const needsMore = cursor.skipByte(key.TRUE)
  if (!needsMore && !cursor.skipByte(key.FALSE)) return null
  if (!cursor.skip(key.TO_THE_END)) return null
  if (hasOuterId && (!cursor.skip(key.ID_KEY) || cursor.string() === null)) return null
  const processingTimeMs = hasTime && cursor.skip(key.PROCESSING_TIME_KEY) ? cursor.integer() : undefined
  if (processingTimeMs === -1 || !cursor.isAtEnd) return null
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
  if (!cursor.skip(key.BLOCK_START)) return null
  const status = cursor.integer()
  if (status < 100 || status > 599 || !cursor.skip(key.BODY_KEY)) return null
  let body: string | undefined
  if (!cursor.skipByte(key.NIL)) {
    const text = cursor.string()
    if (text === null) return null
    body = text
  }
  return cursor.skip(key.NO_HEADERS) ? { kind: 'block', status, body, headers: undefined } : null
}

function ops(): readonly HeaderOp[] | null {
  const count = cursor.entries(0x90, 0xdc)
  if (count === 0) return NO_OPS
  if (count < 0) return null
  const list: HeaderOp[] = []
  for (let i = 0; i < count; i++) {
    const op = oneOp()
    if (op === null) return null
    list.push(op)
  }
  return list
}

function oneOp(): HeaderOp | null {
  const op = cursor.skip(key.SET_START) ? 'set' : cursor.skip(key.ADD_START) ? 'add' : 'remove'
  if (op === 'remove' && !cursor.skip(key.REMOVE_START)) return null
  const name = cursor.string()
  if (name === null) return null
  if (op === 'remove') return { op, name }
  if (!cursor.skip(key.VALUE_KEY)) return null
  const value = cursor.string()
  return value === null ? null : { op, name, value }
}
