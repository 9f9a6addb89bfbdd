import type { ErrorCode } from '../core/errors.ts'
import type { AgentEvent } from '../core/event.ts'
import { isFieldName, isFieldValue } from '../core/header-field.ts'
import type { AgentReply, HeaderOp } from '../core/reply.ts'
import { mutationOf } from './merge.ts'

/** Codes by which an agent's own fault would be taken for the client's. */
export const BLAMES_CALLER: ReadonlySet<ErrorCode> = new Set([
  'INVALID_ARGUMENT',
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'NOT_FOUND',
  'CONFLICT',
  'TOO_LARGE',
])

/**
 * An operation whose name or value no header can hold. Left out alone it would let through what the client sent under
 * that name, in place of what the agent vouches for.
 */
function unusableOp(ops: readonly HeaderOp[]): HeaderOp | undefined {
  for (const op of ops) {
    if (!isFieldName(op.name) || (op.op !== 'remove' && !isFieldValue(op.value))) return op
  }
  return undefined
}

/** What is wrong with a well-formed reply as an answer to this event. */
export function flawOf(reply: AgentReply, event: AgentEvent): string | undefined {
  const op = unusableOp(reply.requestHeaders) ?? unusableOp(reply.responseHeaders)
  if (op !== undefined) return `the operation on header ${JSON.stringify(op.name)} cannot be carried out`
  const { requestBodyMutation, responseBodyMutation } = reply
  if (requestBodyMutation === undefined && responseBodyMutation === undefined) return undefined
  if (!('chunkIndex' in event)) {
    return `a body mutation in the answer to ${event.kind}`
  }
  const mutation = mutationOf(reply, event.kind)
  const foreign = mutation === requestBodyMutation ? responseBodyMutation : requestBodyMutation
  if (foreign?.data !== undefined) return `a mutation of the other body in the answer to ${event.kind}`
  if (mutation !== undefined && mutation.chunkIndex !== event.chunkIndex) {
    return `a mutation of body chunk ${mutation.chunkIndex} in the answer to chunk ${event.chunkIndex}`
  }
  return undefined
}
