import type { WeirError } from '../../core/errors.ts'
import type { BypassReason } from '../../core/probe.ts'
import type { AgentCall } from '../agent-call.ts'
import { isPiece } from '../body-share.ts'
import { bypassReason, type Committed, failureOutcome } from '../failure-mode.ts'
import { HELD, type Layer, PROCEED } from '../layer.ts'

/** What stands before a piece that was sent ahead will be handed on once it is allowed, or was in this very turn. */
const HANDED_ON: Committed = { requestBodyCommitted: true, responseBodyCommitted: true }

/**
 * Turns what failed further in into a denial or a bypass; nothing else does. An agent that missed a piece of a body misses
 * the rest: it could not judge it, and nothing that it judged was handed on.
 */
export const failureModeLayer: Layer = {
  name: 'failure-mode',
  enter(call: AgentCall) {
    const missed = call.bodyShare?.missed
    if (missed === undefined || missed === null) return PROCEED
    call.fail(missed.failure)
    return HELD
  },
  leave(call: AgentCall) {
    const { error, event } = call
    /* Nobody waits for the answer to a request's end: nothing went on without the agent. */
    if (error === null || call.isShed || event.kind === 'request-complete') return
    const reason = bypassOf(call, error)
    if (reason === undefined) return
    call.bypass = reason
    call.agent.pool.countBypass(reason)
    if (isPiece(event))
      call.scope.openBodyShare(call.policy.name, event.kind).missed ??= { reason, failure: error }
  },
}

/** Why the event goes on without the agent; undefined: it does not. */
function bypassOf(call: AgentCall, error: WeirError): BypassReason | undefined {
  const missed = call.bodyShare?.missed
  if (missed !== undefined && missed !== null && error.code !== 'CANCELLED') return missed.reason
  const committed = call.followsOpenPiece ? HANDED_ON : call.scope
  if (failureOutcome(call.policy, call.event.kind, error, committed) === 'deny') return undefined
  return call.isBroken ? 'breaker-open' : bypassReason(error.code)
}
