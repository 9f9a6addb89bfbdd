import type { AgentReply, HeaderOp } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { unsigned } from '../shape/fields.ts'
import { writableStatus } from '../shape/plain-replies.ts'
import {
  closeMessage,
  putCount,
  putHeader,
  putOptionalText,
  putText,
  putVarint,
  TEXT_OVERHEAD,
} from './proto-put.ts'

/** Room for everything in a reply but its texts. */
const FIXED_BYTES = 64

/**
 * An allow or block without extras (see `isPlainReply`) as an `AgentToProxy` message, without the prefix.
 * @throws WeirError INVALID_ARGUMENT for a status outside 100 to 599.
 */
export function writeReplyProto(reply: AgentReply, out: ByteWriter): void {
  const { decision } = reply
  out.reserve(FIXED_BYTES + roomOf(reply))
  const { bytes } = out
  bytes[out.end] = 0x12
  const start = out.end + 1
  let at = putText(bytes, start + 1, 0x0a, reply.correlationId)
  if (decision.kind === 'block') {
    bytes[at] = 0x1a
    const blockStart = at + 1
    at = putCount(bytes, blockStart + 1, 0x08, writableStatus(decision.status))
    if (decision.body !== undefined) at = putOptionalText(bytes, at, 0x12, decision.body)
    at = closeMessage(bytes, blockStart, 1, at)
  } else {
    bytes[at] = 0x12
    bytes[at + 1] = 0
    at += 2
  }
  for (const op of reply.requestHeaders) at = putOp(bytes, at, 0x52, op)
  for (const op of reply.responseHeaders) at = putOp(bytes, at, 0x5a, op)
  if (reply.processingTimeMs !== undefined) {
    bytes[at] = 0x68
    at = putVarint(bytes, at + 1, unsigned(reply.processingTimeMs))
  }
  at = putCount(bytes, at, 0x70, reply.needsMore ? 1 : 0)
  out.end = closeMessage(bytes, start, 1, at)
}

function putOp(bytes: Buffer, at: number, tag: number, op: HeaderOp): number {
  bytes[at] = tag
  const to =
    op.op === 'remove'
      ? putOptionalText(bytes, at + 2, 0x1a, op.name)
      : putHeader(bytes, at + 2, op.op === 'set' ? 0x0a : 0x12, op.name, op.value)
  return closeMessage(bytes, at + 1, 1, to)
}

function roomOf(reply: AgentReply): number {
  const { decision } = reply
  const body = decision.kind === 'block' ? (decision.body?.length ?? 0) : 0
  const characters = reply.correlationId.length + body
  return (
    characters * 3 + TEXT_OVERHEAD * 2 + roomOfOps(reply.requestHeaders) + roomOfOps(reply.responseHeaders)
  )
}

function roomOfOps(ops: readonly HeaderOp[]): number {
  let bytes = 0
  for (const op of ops) {
    const characters = op.name.length + (op.op === 'remove' ? 0 : op.value.length)
    bytes += characters * 3 + TEXT_OVERHEAD * 4
  }
  return bytes
}
