import { WeirError } from '../../core/errors.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED } from '../layer.ts'
import type { ConcurrencyGate } from '../limits/concurrency-gate.ts'

/** Refuses new requests while this process is loaded beyond its targets. What was begun may always go on. */
export function overloadLayer(gate: ConcurrencyGate): Layer {
  return {
    name: 'overload',
    enter(call: AgentCall) {
      if (call.event.kind !== 'request-headers') return PROCEED
      if (!gate.tryEnter()) {
        call.isShed = true
        call.fail(new WeirError('OVERLOADED', 'this process is loaded beyond its targets', { sent: false }))
        return HELD
      }
      call.isCounted = true
      return PROCEED
    },
    leave(call: AgentCall) {
      if (!call.isCounted) return
      call.isCounted = false
      gate.leave(call.policy.name, call.leaseWaitMs)
    },
  }
}
