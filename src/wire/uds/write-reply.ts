import type { AgentReply } from '../../core/reply.ts'
import type { ByteWriter } from '../byte-writer.ts'
import type { Encoding } from '../codec.ts'
import { plainReply } from '../shape/plain-replies.ts'
import { isPlainReply } from '../shape/plain-reply.ts'
import { unwritable } from '../write-errors.ts'
import { FRAME } from './frame.ts'
import { writeReplyJson } from './json-replies.ts'
import { writeJson } from './json-text.ts'
import { writeReplyMsgpack } from './msgpack-replies.ts'
import { writeMsgpack } from './msgpack-write.ts'
import { beginFrame, endFrame } from './write-frame.ts'

/** Appends one reply's frame. @throws WeirError with `sent: false`; `out` is then as before. */
export function writeReplyFrame(
  reply: AgentReply,
  encoding: Encoding,
  maxPayloadBytes: number,
  out: ByteWriter,
): void {
  const start = beginFrame(out)
  try {
    if (isPlainReply(reply)) {
      if (encoding === 'json') writeReplyJson(reply, out)
      else writeReplyMsgpack(reply, out)
    } else if (encoding === 'json') writeJson(plainReply(reply), out)
    else writeMsgpack(plainReply(reply), out)
    endFrame(out, start, FRAME.reply, maxPayloadBytes)
  } catch (thrown) {
    out.end = start
    throw unwritable(thrown)
  }
}
