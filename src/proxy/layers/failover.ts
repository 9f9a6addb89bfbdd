import type { AgentCall } from '../agent-call.ts'
import type { Layer } from '../layer.ts'

/** Connections tried at most for one event. Each failure before sending means a connection that just died. */
const MAX_ATTEMPTS = 3

/**
 * Tries another connection when nothing of the event was sent. What may have reached an agent is never
 * repeated: agents count, log and charge.
 */
export const failoverLayer: Layer = {
  name: 'failover',
  recover(call: AgentCall) {
    const error = call.error
    if (error === null || error.sent || error.code !== 'CONNECTION_LOST') return false
    if (call.attempts >= MAX_ATTEMPTS || call.pinnedTo !== 0) return false
    call.connection = null
    return true
  },
}
