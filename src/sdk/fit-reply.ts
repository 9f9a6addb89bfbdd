import { failureReply } from '../core/agent-failure.ts'
import { WeirError } from '../core/errors.ts'
import type { AgentReply, BodyMutation } from '../core/reply.ts'
import { OUR_PROXY_ID } from '../transport/agent-end/encoding-choice.ts'
import type { ProxyLink } from '../transport/proxy-link.ts'
import { GUARDRAIL_RESPONSE } from './guardrail-result.ts'
import type { WorkKind } from './served-request.ts'

/**
 * The protocol's gRPC messages have no field for body mutations, WebSocket decisions and routing metadata. A proxy that
 * does not know Weir's would skip them, and what was to be redacted, dropped or reported would pass. So there they
 * become the nearest answer that lets nothing through. Unix sockets and reverse connections carry replies as they are.
 */
export function fitReply(reply: AgentReply, phase: WorkKind, link: ProxyLink): AgentReply {
  if (link.transport !== 'grpc' || link.proxyId === OUR_PROXY_ID) return reply
  if (reply.decision.kind !== 'allow') return reply
  if (replaces(reply.requestBodyMutation) || replaces(reply.responseBodyMutation))
    return unrepresentable(
      reply,
      'this proxy cannot take a changed body over gRPC: serve it over a Unix socket',
    )
  const frame = reply.websocketDecision
  if (frame !== undefined && frame.kind !== 'allow')
    return denied(reply, frame.kind === 'close' ? frame.reason : 'WebSocket frame refused')
  if (phase === 'guardrail-inspect' && detects(reply)) return denied(reply, 'Detected by the guardrail')
  return reply
}

function replaces(mutation: BodyMutation | undefined): boolean {
  return mutation?.data !== undefined
}

function unrepresentable(reply: AgentReply, message: string): AgentReply {
  return failureReply(reply.correlationId, new WeirError('INTERNAL', message))
}

function denied(reply: AgentReply, body: string): AgentReply {
  return { ...reply, decision: { kind: 'block', status: 403, body } }
}

function detects(reply: AgentReply): boolean {
  const text = reply.routingMetadata[GUARDRAIL_RESPONSE]
  if (text === undefined) return false
  try {
    const result = JSON.parse(text) as { detected?: unknown } | null
    return result?.detected !== false
  } catch {
    return true
  }
}
