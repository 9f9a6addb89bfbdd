import { type AgentReply, type HeaderOp, NO_AUDIT, NO_METADATA } from '../../core/reply.ts'

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

/** Of its texts, each as often as a plain reply in JSON or MessagePack says it. */
export function charactersOf({
  correlationId,
  decision,
  requestHeaders,
  responseHeaders,
}: AgentReply): number {
  const body = decision.kind === 'block' ? (decision.body?.length ?? 0) : 0
  return correlationId.length * 2 + body + charactersOfOps(requestHeaders) + charactersOfOps(responseHeaders)
}

function charactersOfOps(ops: readonly HeaderOp[]): number {
  let characters = 0
  for (const op of ops) characters += op.name.length + (op.op === 'remove' ? 0 : op.value.length)
  return characters
}
