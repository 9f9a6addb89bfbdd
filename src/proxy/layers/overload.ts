import { WeirError } from '../../core/errors.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED } from '../layer.ts'
import type { ConcurrencyGate } from '../limits/concurrency-gate.ts'

/** Load is measured four times a second, and the limit follows it: after this time it may be another one. */
const RETRY_AFTER_MS = 1000

/** Refuses new requests while this process is loaded beyond its targets. What was begun may always go on. */
export function overloadLayer(gate: ConcurrencyGate): Layer {
  return {
    name: 'overload',
    enter(call: AgentCall) {
      if (call.event.kind !== 'request-headers') return PROCEED
      if (!gate.tryEnter()) {
        call.isShed = true
        call.fail(
          new WeirError('OVERLOADED', 'this process is loaded beyond its targets', {
            sent: false,
            retryAfterMs: RETRY_AFTER_MS,
          }),
        )
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
