import type { EventKind } from '../../core/event.ts'
import { type AgentReply, plainAllow, reply } from '../../core/reply.ts'
import { flag, isRecord, member, optionalText, struct } from '../shape/fields.ts'
import { agentReply } from '../shape/replies.ts'

/**
 * What an agent's answer to an event of this kind means.
 * @throws WeirError PROTOCOL_ERROR
 */
export function v1Reply(kind: EventKind, correlationId: string, plain: unknown): AgentReply {
  if ((kind === 'configure' || kind === 'request-complete') && isRecord(plain) && 'success' in plain)
    return acknowledgement(correlationId, plain)
  if (kind === 'guardrail-inspect' && isRecord(plain) && 'detected' in plain)
    return reply(
      correlationId,
      { kind: 'allow' },
      { routingMetadata: { guardrail_response: JSON.stringify(plain) } },
    )
  return { ...agentReply(plain), correlationId }
}

function acknowledgement(correlationId: string, plain: unknown): AgentReply {
  const of = struct(plain, 'reply')
  if (flag(member(of, 'success', -1), 'reply.success')) return plainAllow(correlationId)
  const body = optionalText(member(of, 'error', -1), 'reply.error')
  return reply(correlationId, { kind: 'block', status: 500, body })
}
