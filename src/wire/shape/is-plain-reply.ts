import { type AgentReply, NO_AUDIT, NO_METADATA } from '../../core/reply.ts'

/** Whether a reply is an allow or a block with nothing but header operations and a time taken: what the fast writers know. */
export function isPlainReply(reply: AgentReply): boolean {
  const { decision } = reply
  return (
    (decision.kind === 'allow' || (decision.kind === 'block' && decision.headers === undefined)) &&
    reply.audit === NO_AUDIT &&
    reply.requestBodyMutation === undefined &&
    reply.responseBodyMutation === undefined &&
    reply.websocketDecision === undefined &&
    (reply.routingMetadata === NO_METADATA || Object.keys(reply.routingMetadata).length === 0)
  )
}
