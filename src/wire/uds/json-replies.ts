import type { AgentReply, HeaderOp } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import { writeConstant, writeDecimal, writeJsonMember } from './json-write.ts'

/* Allows and blocks without extras, written straight into the connection's buffer, in the reference's order. */
const key = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))

const ALLOW = key('{"version":2,"decision":"allow","request_headers":[')
const BLOCK = key('{"version":2,"decision":{"block":{"status":')
const BLOCK_BODY = key(',"body":')
const BLOCK_END = key(',"headers":null}},"request_headers":[')
const RESPONSE_HEADERS = key('],"response_headers":[')
const AUDIT_ID = key(
  '],"routing_metadata":{},"audit":{"tags":[],"rule_ids":[],"confidence":null,"reason_codes":[],"custom":{"correlation_id":',
)
const NEEDS_NO_MORE = key(
  '}},"needs_more":false,"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null,"correlation_id":',
)
const NEEDS_MORE = key(
  '}},"needs_more":true,"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null,"correlation_id":',
)
const PROCESSING_TIME = key(',"processing_time_ms":')
const END = key('}')
const SET = key('{"set":{"name":')
const ADD = key('{"add":{"name":')
const REMOVE = key('{"remove":{"name":')
const VALUE = key(',"value":')
const OP_END = key('}}')
const COMMA = key(',')

/** Only for a plain reply. @throws WeirError INVALID_ARGUMENT for a status outside 100 to 599. */
export function writeReplyJson(reply: AgentReply, out: ByteWriter): void {
  const { decision } = reply
  if (decision.kind === 'block') {
    writeConstant(BLOCK, out)
    writeDecimal(writableStatus(decision.status), out)
    writeJsonMember(BLOCK_BODY, decision.body, out)
    writeConstant(BLOCK_END, out)
  } else writeConstant(ALLOW, out)
  writeOps(reply.requestHeaders, out)
  writeConstant(RESPONSE_HEADERS, out)
  writeOps(reply.responseHeaders, out)
  writeJsonMember(AUDIT_ID, reply.correlationId, out)
  writeJsonMember(reply.needsMore ? NEEDS_MORE : NEEDS_NO_MORE, reply.correlationId, out)
  if (reply.processingTimeMs !== undefined) {
    writeConstant(PROCESSING_TIME, out)
    writeDecimal(unsigned(reply.processingTimeMs), out)
  }
  writeConstant(END, out)
}

function writeOps(ops: readonly HeaderOp[], out: ByteWriter): void {
  for (let i = 0; i < ops.length; i++) {
    const op = ops[i]!
    if (i > 0) writeConstant(COMMA, out)
    if (op.op === 'remove') writeJsonMember(REMOVE, op.name, out)
    else {
      writeJsonMember(op.op === 'set' ? SET : ADD, op.name, out)
      writeJsonMember(VALUE, op.value, out)
    }
    writeConstant(OP_END, out)
  }
}
