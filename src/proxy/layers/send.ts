import { WeirError } from '../../core/errors.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED } from '../layer.ts'

/** Hands the event to the leased connection; takes it back, and tells the agent, when the call ends early. */
export const sendLayer: Layer = {
  name: 'send',
  enter(call: AgentCall) {
    const { connection } = call.connection!
    call.attempts++
    call.isPending = true
    call.noteShown()
    try {
      connection.send(call.event, call)
      return PROCEED
    } catch (thrown) {
      call.isPending = false
      call.avoid = call.connection!.id
      call.fail(WeirError.from(thrown))
      return HELD
    }
  },
  leave(call: AgentCall) {
    if (!call.isPending) return
    call.isPending = false
    const { connection } = call.connection!
    if (connection.abandon(call) && !call.isQuiet) connection.cancel(call.correlationId, call.cancelReason)
  },
}
