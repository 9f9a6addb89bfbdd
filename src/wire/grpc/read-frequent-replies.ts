import {
  type AgentReply,
  ALLOW,
  type Decision,
  type HeaderOp,
  NO_AUDIT,
  NO_METADATA,
  NO_OPS,
} from '../../core/reply.ts'
import { ProtoCursor } from './proto-cursor.ts'

/*
 * Fast reader of allows and blocks without extras. Anything else gives null, and generated code reads the message.
 * Reading makes no calls outside, so one cursor serves all.
 */
const cursor = new ProtoCursor()

/** `start` lies behind the tag of `AgentToProxy.response`. */
export function readReplyProto(bytes: Buffer, start: number, end: number): AgentReply | null {
  if (!cursor.openTexts(bytes, start, end)) return null
  const reply = cursor.lengthEnd(end) === end && !cursor.isOff ? plainReply(end) : null
  const isOff = cursor.isOff
  cursor.close()
  return isOff ? null : reply
}

function plainReply(end: number): AgentReply | null {
  let correlationId = ''
  let decision: Decision | null = null
  let requestOps: HeaderOp[] | undefined
  let responseOps: HeaderOp[] | undefined
  let needsMore = false
  let processingTimeMs: number | undefined
  while (cursor.at < end && !cursor.isOff) {
    switch (cursor.bytes[cursor.at++]) {
      case 0x0a:
        correlationId = cursor.string(end)
        break
      case 0x12:
        if (decision !== null || cursor.lengthEnd(end) !== cursor.at) return null
        decision = ALLOW
        break
      case 0x1a:
        if (decision !== null) return null
        decision = block(cursor.lengthEnd(end))
        if (decision === null) return null
        break
      case 0x52:
        requestOps ??= []
        if (!headerOp(requestOps, cursor.lengthEnd(end))) return null
        break
      case 0x5a:
        responseOps ??= []
        if (!headerOp(responseOps, cursor.lengthEnd(end))) return null
        break
      case 0x62:
        if (cursor.lengthEnd(end) !== cursor.at) return null
        break
      case 0x68:
        processingTimeMs = cursor.varint(end)
        break
      case 0x70:
        needsMore = cursor.varint(end) !== 0
        break
      default:
        return null
    }
  }
  if (decision === null) return null
  return {
    correlationId,
    decision,
    requestHeaders: requestOps ?? NO_OPS,
    responseHeaders: responseOps ?? NO_OPS,
    routingMetadata: NO_METADATA,
    audit: NO_AUDIT,
    needsMore,
    requestBodyMutation: undefined,
    responseBodyMutation: undefined,
    websocketDecision: undefined,
    processingTimeMs,
  }
}

function block(end: number): Decision | null {
  let status = 0
  let body: string | undefined
  while (cursor.at < end && !cursor.isOff) {
    const tag = cursor.bytes[cursor.at++]
    if (tag === 0x08) status = cursor.varint(end)
    else if (tag === 0x12) body = cursor.string(end)
    else return null
  }
  return status < 100 || status > 599 ? null : { kind: 'block', status, body, headers: undefined }
}

function headerOp(into: HeaderOp[], end: number): boolean {
  if (cursor.at >= end) return false
  const tag = cursor.bytes[cursor.at++]
  if (tag === 0x1a) {
    into.push({ op: 'remove', name: cursor.string(end) })
    return cursor.at === end
  }
  if ((tag !== 0x0a && tag !== 0x12) || cursor.lengthEnd(end) !== end) return false
  let name = ''
  let value = ''
  while (cursor.at < end && !cursor.isOff) {
    const member = cursor.bytes[cursor.at++]
    if (member === 0x0a) name = cursor.string(end)
    else if (member === 0x12) value = cursor.string(end)
    else return false
  }
  into.push({ op: tag === 0x0a ? 'set' : 'add', name, value })
  return true
}
