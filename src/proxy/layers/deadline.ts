import type { TimerWheel } from '../../core/timer-wheel.ts'
import type { AgentCall } from '../agent-call.ts'
import { type Layer, PROCEED } from '../layer.ts'

/**
 * Every call ends by its agent's timeout, wherever it stands: queued, paused or sent. A degraded agent that works on
 * the event gets the longer time it asked for, up to `maxTimeoutMultiplier`. Its report is read when the time is up, so
 * events that are answered in time never look for it. The time of a piece of a body that was sent ahead begins once the
 * agent has answered the one before it, which has its own deadline.
 */
export function deadlineLayer(wheel: TimerWheel): Layer {
  return {
    name: 'deadline',
    enter(call: AgentCall) {
      wheel.arm(call, call.startedAt + call.policy.timeoutMs)
      return PROCEED
    },
    extend(call: AgentCall) {
      if (!call.isPending) return false
      if (call.isBehind) {
        wheel.arm(call, call.deadlineAt + call.policy.timeoutMs)
        return true
      }
      const { timeoutMs, maxTimeoutMultiplier } = call.policy
      const factor = Math.min(call.connection!.timeoutMultiplier, maxTimeoutMultiplier)
      const until = call.dueSince + timeoutMs * factor
      if (until <= call.deadlineAt) return false
      wheel.arm(call, until)
      return true
    },
    leave(call: AgentCall) {
      wheel.disarm(call)
    },
  }
}
