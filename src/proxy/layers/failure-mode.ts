import type { AgentCall } from '../agent-call.ts'
import { bypassReason, failureOutcome } from '../failure-mode.ts'
import type { Layer } from '../layer.ts'

/** Turns what failed further in into a denial or a bypass; nothing else does. */
export const failureModeLayer: Layer = {
  name: 'failure-mode',
  leave(call: AgentCall) {
    if (call.error === null || call.isShed) return
    if (failureOutcome(call.policy, call.event.kind, call.error, call.scope) === 'skip') {
      call.bypass = call.isBroken ? 'breaker-open' : bypassReason(call.error.code)
    }
  },
}
