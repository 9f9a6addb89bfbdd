import { ERROR_CODES, type ErrorCode, WeirError } from './errors.ts'
import { type AgentReply, reply } from './reply.ts'

/** Audit tag of every reply that stands for a failure and not for a decision. */
export const FAILURE_TAG = 'agent-error'

/**
 * The answer to an event that could not be judged: a block, so that nothing passes by accident. The tag tells a
 * decision from a failure, the reason code is one of Weir's error codes, and the text stays in the audit: a block's
 * body is what the proxy shows to the client.
 */
export function failureReply(correlationId: string, thrown: unknown, status?: number): AgentReply {
  const error = WeirError.from(thrown)
  return reply(
    correlationId,
    { kind: 'block', status: status ?? error.httpStatus, body: 'The request could not be inspected' },
    { audit: failureAudit(error.code, error.message) },
  )
}

export function failureAudit(code: ErrorCode, message: string): AgentReply['audit'] {
  return { tags: [FAILURE_TAG], ruleIds: [], reasonCodes: [code], custom: { agent_error: message } }
}

/** Audit key of a failure reply: milliseconds after which the same event can succeed. */
export const RETRY_AFTER_KEY = 'retry_after_ms'

/** When a failed event can be tried again, milliseconds; undefined: nothing was said. */
export function retryAfterOf(reply: AgentReply): number | undefined {
  const afterMs = reply.audit.custom[RETRY_AFTER_KEY]
  return typeof afterMs === 'number' && afterMs >= 0 && Number.isFinite(afterMs) ? afterMs : undefined
}

/** What a failure reply says for people. */
export function failureText(reply: AgentReply): string {
  const text = reply.audit.custom['agent_error']
  return typeof text === 'string' ? text : 'no reason given'
}

/** The error code of a reply made by {@link failureReply}; undefined for a decision. */
export function failureCodeOf(reply: AgentReply): ErrorCode | undefined {
  const { tags } = reply.audit
  if (tags.length === 0 || !tags.includes(FAILURE_TAG)) return undefined
  const code = reply.audit.reasonCodes[0]
  return code !== undefined && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'INTERNAL'
}
