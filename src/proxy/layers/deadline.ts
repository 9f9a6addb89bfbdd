import type { TimerWheel } from '../../core/timer-wheel.ts'
import type { AgentCall } from '../agent-call.ts'
import { type Layer, PROCEED } from '../layer.ts'

/** Every call ends by its agent's timeout, wherever it stands: queued, paused or sent. */
export function deadlineLayer(wheel: TimerWheel): Layer {
  return {
    name: 'deadline',
    enter(call: AgentCall) {
      wheel.arm(call, call.startedAt + call.policy.timeoutMs)
      return PROCEED
    },
    leave(call: AgentCall) {
      wheel.disarm(call)
    },
  }
}
