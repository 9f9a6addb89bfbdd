import type { AgentReply, HeaderOp } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putRun } from '../runs.ts'
import { unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import { charactersOf } from '../shape/plain-reply.ts'
import * as key from './msgpack-keys.ts'
import { begin, HEAD_BYTES, putLength, putMember, putUnsigned } from './msgpack-put.ts'

/** More than everything in a reply but its operations and texts takes. */
const FIXED_BYTES = 512
/** The same for one operation. */
const BYTES_PER_OP = 32 + HEAD_BYTES

/** Only for a plain reply. @throws WeirError INVALID_ARGUMENT for a status outside 100 to 599. */
export function writeReplyMsgpack(reply: AgentReply, out: ByteWriter): void {
  const { correlationId, decision, processingTimeMs, requestHeaders, responseHeaders } = reply
  const ops = requestHeaders.length + responseHeaders.length
  let at = begin(out, FIXED_BYTES + ops * BYTES_PER_OP, charactersOf(reply))
  const { view } = out
  at = putRun(view, at, processingTimeMs === undefined ? key.REPLY_START_WITH_ID : key.REPLY_START_WITH_TIME)
  if (decision.kind === 'block') {
    at = putRun(view, at, key.BLOCK_START)
    at = putUnsigned(out.bytes, at, writableStatus(decision.status))
    at = putMember(out, at, key.BODY_KEY, decision.body)
    at = putRun(view, at, key.NO_HEADERS)
  } else at = putRun(view, at, key.ALLOW_NAME)
  at = putRun(view, at, key.REQUEST_OPS_KEY)
  at = putOps(out, at, requestHeaders)
  at = putRun(view, at, key.RESPONSE_OPS_KEY)
  at = putOps(out, at, responseHeaders)
  at = putMember(out, at, key.UP_TO_ID, correlationId)
  at = putRun(view, at, key.NEEDS_MORE_KEY)
  out.bytes[at++] = reply.needsMore ? key.TRUE : key.FALSE
  at = putRun(view, at, key.TO_THE_END)
  at = putMember(out, at, key.ID_KEY, correlationId)
  if (processingTimeMs !== undefined) {
    at = putRun(view, at, key.PROCESSING_TIME_KEY)
    at = putUnsigned(out.bytes, at, unsigned(processingTimeMs))
  }
  out.end = at
}

function putOps(out: ByteWriter, start: number, ops: readonly HeaderOp[]): number {
  let at = putLength(out.bytes, start, ops.length, 0x90, 0xdc)
  for (const op of ops) {
    if (op.op === 'remove') at = putMember(out, at, key.REMOVE_START, op.name)
    else {
      at = putMember(out, at, op.op === 'set' ? key.SET_START : key.ADD_START, op.name)
      at = putMember(out, at, key.VALUE_KEY, op.value)
    }
  }
  return at
}
