import { FAILURE_TAG, RETRY_AFTER_KEY } from '../../core/agent-failure.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import { type AgentReply, type Audit, NO_AUDIT, reply } from '../../core/reply.ts'
import { denialHeaders } from '../../proxy/limits/rate-limit-headers.ts'
import type { Verdict } from '../../proxy/verdict.ts'

/** Audit tag of a reply that some agent of the chain had no part in. */
export const BYPASS_TAG = 'weir-bypass'

/** What a chain decided, as the one agent that the proxy takes Weir for. */
export function verdictReply(verdict: Verdict, event: AgentEvent, correlationId: string): AgentReply {
  const { error } = verdict
  return reply(correlationId, error === undefined ? verdict.decision : refusal(error), {
    requestHeaders: verdict.requestHeaders,
    responseHeaders: verdict.responseHeaders,
    routingMetadata: verdict.routingMetadata,
    audit: auditOf(verdict),
    needsMore: verdict.needsMore,
    requestBodyMutation: event.kind === 'request-body-chunk' ? verdict.bodyMutation : undefined,
    responseBodyMutation: event.kind === 'response-body-chunk' ? verdict.bodyMutation : undefined,
    websocketDecision: frameDecision(verdict, event),
  })
}

function refusal(error: WeirError): AgentReply['decision'] {
  return { kind: 'block', status: error.httpStatus, headers: denialHeaders(error) }
}

/** Proxies read nothing but the WebSocket decision of a frame's reply, so a block must close there too. */
function frameDecision(
  { websocketDecision, decision }: Verdict,
  event: AgentEvent,
): AgentReply['websocketDecision'] {
  if (event.kind !== 'websocket-frame' || decision.kind === 'allow') return websocketDecision
  if (websocketDecision !== undefined && websocketDecision.kind !== 'allow') return websocketDecision
  return { kind: 'close', code: 1008, reason: 'refused' }
}

function auditOf(verdict: Verdict): Audit {
  const { audit, error, bypassed, decidedBy } = verdict
  if (error === undefined && bypassed.length === 0 && decidedBy === undefined) return audit
  const own = audit === NO_AUDIT ? { tags: [], ruleIds: [], reasonCodes: [], custom: {} } : audit
  const custom = {
    ...own.custom,
    ...(decidedBy !== undefined && { weir_decided_by: decidedBy }),
    ...(error !== undefined && { agent_error: error.message }),
    ...(error?.retryAfterMs !== undefined && { [RETRY_AFTER_KEY]: error.retryAfterMs }),
    ...(bypassed.length > 0 && {
      weir_bypassed: bypassed.map(({ agent, reason }) => `${agent}:${reason}`).join(','),
    }),
  }
  return {
    tags: [
      ...own.tags,
      ...(error === undefined ? [] : [FAILURE_TAG]),
      ...(bypassed.length === 0 ? [] : [BYPASS_TAG]),
    ],
    ruleIds: own.ruleIds,
    confidence: audit.confidence,
    reasonCodes: error === undefined ? own.reasonCodes : [error.code, ...own.reasonCodes],
    custom,
  }
}

/** A body over the chain's limit, by the chain's own rule. */
export function tooLarge(maxBytes: number): WeirError {
  return new WeirError(
    'TOO_LARGE',
    `the body has more than the ${maxBytes} bytes that this route's agents inspect`,
    {
      sent: false,
    },
  )
}
