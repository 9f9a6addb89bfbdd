import type { ErrorCode, WeirError } from '../core/errors.ts'
import type { EventKind } from '../core/event.ts'
import type { BypassReason } from '../core/probe.ts'
import type { AgentPolicy } from './agent-policy.ts'

/** What a front end has already handed on when an agent fails; it bounds what fail-open may still do. */
export interface Committed {
  readonly requestBodyCommitted: boolean
  readonly responseBodyCommitted: boolean
}

/**
 * The one place where an agent's failure becomes a denial or a bypass.
 *
 * | phase | mode closed | mode open, nothing handed on | mode open, body handed on |
 * |---|---|---|---|
 * | request-headers, response-headers | deny | skip | skip |
 * | request-body-chunk, response-body-chunk | deny | skip | deny |
 * | websocket-frame, guardrail-inspect | deny | skip | skip |
 * | request-complete, configure | skip | skip | skip |
 *
 * Once bytes of a body left under an agent's eyes, the rest may not follow unseen: the agent may have been
 * about to refuse them. A body that went on without the agent from a piece on goes on without it to its end, whatever
 * was handed on: see the layer of this name. Frames and prompts are whole messages, each judged alone.
 */
export function failureOutcome(
  policy: AgentPolicy,
  phase: EventKind,
  error: WeirError,
  committed: Committed,
): 'deny' | 'skip' {
  if (phase === 'request-complete' || phase === 'configure') return 'skip'
  if (modeFor(policy, error) === 'closed') return 'deny'
  if (phase === 'request-body-chunk' && committed.requestBodyCommitted) return 'deny'
  if (phase === 'response-body-chunk' && committed.responseBodyCommitted) return 'deny'
  return 'skip'
}

function modeFor(policy: AgentPolicy, { code, sent }: WeirError): 'closed' | 'open' {
  switch (code) {
    case 'RATE_LIMITED':
    case 'BANNED':
      return policy.onLimit === 'skip' ? 'open' : 'closed'
    case 'STORAGE':
      /* A limit that cannot be checked; sent, it is what the agent says of its own store. */
      if (sent) return policy.onFailure
      return policy.onLimit === 'skip' ? 'open' : 'closed'
    case 'PAUSED':
      return policy.onPause === 'open' ? 'open' : policy.onFailure
    case 'CANCELLED':
      return 'closed'
    default:
      return policy.onFailure
  }
}

/** The label under which a bypass is counted. */
export function bypassReason(code: ErrorCode): BypassReason {
  switch (code) {
    case 'PAUSED':
      return 'paused'
    case 'RATE_LIMITED':
      return 'rate-limited'
    case 'BANNED':
      return 'banned'
    case 'OVERLOADED':
      return 'overloaded'
    case 'TIMEOUT':
      return 'timeout'
    case 'TOO_LARGE':
      return 'too-large'
    case 'UNAVAILABLE':
    case 'DRAINING':
    case 'CONNECTION_LOST':
    case 'AFFINITY_LOST':
      return 'unavailable'
    default:
      return 'error'
  }
}
