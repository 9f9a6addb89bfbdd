import type { AgentCall } from '../agent-call.ts'
import { bypassReason, type Committed, failureOutcome } from '../failure-mode.ts'
import type { Layer } from '../layer.ts'

/** What stands before a piece that was sent ahead will be handed on once it is allowed, or was in this very turn. */
const HANDED_ON: Committed = { requestBodyCommitted: true, responseBodyCommitted: true }

/** Turns what failed further in into a denial or a bypass; nothing else does. */
export const failureModeLayer: Layer = {
  name: 'failure-mode',
  leave(call: AgentCall) {
    if (call.error === null || call.isShed) return
    const committed = call.followsOpenPiece ? HANDED_ON : call.scope
    if (failureOutcome(call.policy, call.event.kind, call.error, committed) === 'skip') {
      call.bypass = call.isBroken ? 'breaker-open' : bypassReason(call.error.code)
      call.agent.pool.countBypass(call.bypass)
    }
  },
}
