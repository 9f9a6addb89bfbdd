import type { AgentReply, HeaderOp } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putRun, runOf } from '../runs.ts'
import { unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import { charactersOf } from '../shape/plain-reply.ts'
import { begin, keyOf, putDecimal, putMember } from './json-write.ts'

/* Allows and blocks without extras, written straight into the connection's buffer, in the reference's order. */

const ALLOW = runOf('{"version":2,"decision":"allow","request_headers":[')
const BLOCK = runOf('{"version":2,"decision":{"block":{"status":')
const BLOCK_BODY = keyOf(',"body":')
const BLOCK_END = runOf(',"headers":null}},"request_headers":[')
const RESPONSE_HEADERS = runOf('],"response_headers":[')
const AUDIT_ID = keyOf(
  '],"routing_metadata":{},"audit":{"tags":[],"rule_ids":[],"confidence":null,"reason_codes":[],"custom":{"correlation_id":',
)
const NEEDS_NO_MORE = keyOf(
  '}},"needs_more":false,"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null,"correlation_id":',
)
const NEEDS_MORE = keyOf(
  '}},"needs_more":true,"request_body_mutation":null,"response_body_mutation":null,"websocket_decision":null,"correlation_id":',
)
const PROCESSING_TIME = runOf(',"processing_time_ms":')
const SET = keyOf('{"set":{"name":')
const ADD = keyOf('{"add":{"name":')
const REMOVE = keyOf('{"remove":{"name":')
const VALUE = keyOf(',"value":')
const OP_END = runOf('}}')
const COMMA = 0x2c
const CLOSE_BRACE = 0x7d
/** More than everything in a reply but its operations and texts takes. */
const FIXED_BYTES = 512
/** The same for one operation. */
const BYTES_PER_OP = 64

/** Only for a plain reply. @throws WeirError INVALID_ARGUMENT for a status outside 100 to 599. */
export function writeReplyJson(reply: AgentReply, out: ByteWriter): void {
  const { correlationId, decision, requestHeaders, responseHeaders } = reply
  const ops = requestHeaders.length + responseHeaders.length
  let at = begin(out, FIXED_BYTES + ops * BYTES_PER_OP, charactersOf(reply))
  const { view } = out
  if (decision.kind === 'block') {
    at = putRun(view, at, BLOCK)
    at = putDecimal(out.bytes, at, writableStatus(decision.status))
    at = putMember(out, at, BLOCK_BODY, decision.body)
    at = putRun(view, at, BLOCK_END)
  } else at = putRun(view, at, ALLOW)
  at = putOps(out, at, requestHeaders)
  at = putRun(view, at, RESPONSE_HEADERS)
  at = putOps(out, at, responseHeaders)
  at = putMember(out, at, AUDIT_ID, correlationId)
  at = putMember(out, at, reply.needsMore ? NEEDS_MORE : NEEDS_NO_MORE, correlationId)
  if (reply.processingTimeMs !== undefined) {
    at = putRun(view, at, PROCESSING_TIME)
    at = putDecimal(out.bytes, at, unsigned(reply.processingTimeMs))
  }
  out.bytes[at] = CLOSE_BRACE
  out.end = at + 1
}

function putOps(out: ByteWriter, start: number, ops: readonly HeaderOp[]): number {
  let at = start
  for (let i = 0; i < ops.length; i++) {
    const op = ops[i]!
    if (i > 0) out.bytes[at++] = COMMA
    if (op.op === 'remove') at = putMember(out, at, REMOVE, op.name)
    else {
      at = putMember(out, at, op.op === 'set' ? SET : ADD, op.name)
      at = putMember(out, at, VALUE, op.value)
    }
    at = putRun(out.view, at, OP_END)
  }
  return at
}
