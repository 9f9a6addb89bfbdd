import type { AgentReply, HeaderOp } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import { writeByte, writeKey, writeMember } from './msgpack-events.ts'
import * as key from './msgpack-keys.ts'
import { writeLength, writeNumber } from './msgpack-write.ts'

/** Only for a plain reply. @throws WeirError INVALID_ARGUMENT for a status outside 100 to 599. */
export function writeReplyMsgpack(reply: AgentReply, out: ByteWriter): void {
  const { decision, processingTimeMs } = reply
  writeKey(processingTimeMs === undefined ? key.REPLY_START_WITH_ID : key.REPLY_START_WITH_TIME, out)
  if (decision.kind === 'block') {
    writeKey(key.BLOCK_START, out)
    writeNumber(writableStatus(decision.status), out)
    writeMember(key.BODY_KEY, decision.body, out)
    writeKey(key.NO_HEADERS, out)
  } else writeKey(key.ALLOW_NAME, out)
  writeKey(key.REQUEST_OPS_KEY, out)
  writeOps(reply.requestHeaders, out)
  writeKey(key.RESPONSE_OPS_KEY, out)
  writeOps(reply.responseHeaders, out)
  writeMember(key.UP_TO_ID, reply.correlationId, out)
  writeKey(key.NEEDS_MORE_KEY, out)
  writeByte(reply.needsMore ? key.TRUE : key.FALSE, out)
  writeKey(key.TO_THE_END, out)
  writeMember(key.ID_KEY, reply.correlationId, out)
  if (processingTimeMs === undefined) return
  writeKey(key.PROCESSING_TIME_KEY, out)
  writeNumber(unsigned(processingTimeMs), out)
}

function writeOps(ops: readonly HeaderOp[], out: ByteWriter): void {
  writeLength(ops.length, 0x90, 0xdc, out)
  for (const op of ops) {
    if (op.op === 'remove') writeMember(key.REMOVE_START, op.name, out)
    else {
      writeMember(op.op === 'set' ? key.SET_START : key.ADD_START, op.name, out)
      writeMember(key.VALUE_KEY, op.value, out)
    }
  }
}
