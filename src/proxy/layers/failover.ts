import type { AgentCall } from '../agent-call.ts'
import type { Layer } from '../layer.ts'
import { UNPINNED } from '../request-scope.ts'

/** Connections tried at most for one event. */
const MAX_ATTEMPTS = 3

/**
 * Tries another connection when nothing of the event was sent: the one leased just died (CONNECTION_LOST), or it still
 * owes a late reply of this request, which could not be told from a new one (CONFLICT). What may have reached an agent
 * is never repeated: agents count, log and charge. A body chunk stays with its pin; other events may start afresh, or
 * one timeout would leave the agent out for the rest of a long request.
 */
export const failoverLayer: Layer = {
  name: 'failover',
  recover(call: AgentCall) {
    const error = call.error
    if (error === null || error.sent || call.attempts >= MAX_ATTEMPTS) return 'none'
    if (error.code !== 'CONNECTION_LOST' && error.code !== 'CONFLICT') return 'none'
    if (call.pinnedTo !== UNPINNED) {
      if (call.isBody) return 'none'
      call.startAfresh(call.pinnedTo)
    }
    call.connection = null
    return 'again'
  },
}
