import type { Clock } from '../../core/clock.ts'
import { NOT_ARMED, type TimerWheel, type WheelNode } from '../../core/timer-wheel.ts'
import type { Refusal } from '../../pool/lease.ts'
import { refusalError } from '../../pool/refusal-error.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED, type Step } from '../layer.ts'

/**
 * Picks and leases a connection in one turn, or applies the rule for why there is none: a full pool queues, a
 * paused one follows `onPause`, the rest fails at once. Releases the lease on the way out, whatever happened.
 */
export function acquireLayer(wheel: TimerWheel, clock: Clock): Layer {
  const enqueue = (call: AgentCall): Step => {
    call.queuedAt = clock.now()
    const overloaded = call.agent.pool.wait(call)
    if (overloaded !== undefined) call.fail(overloaded)
    return HELD
  }
  const waitsForResume = (call: AgentCall): boolean => {
    if (call.policy.onPause !== 'wait') return false
    if (call.pauseLimit === null) {
      call.pauseLimit = new PauseLimit(call)
      wheel.arm(call.pauseLimit, clock.now() + call.policy.flowWaitMs)
    }
    return true
  }
  const refused = (call: AgentCall, refusal: Refusal): Step => {
    if (refusal === 'full' || (refusal === 'paused' && waitsForResume(call))) return enqueue(call)
    call.isBroken = refusal === 'breaker-open'
    call.fail(refusalError(call.agentName, refusal))
    return HELD
  }
  return {
    name: 'acquire',
    enter(call: AgentCall) {
      call.queuedAt = 0
      /* Nothing waited: the turn that began the call leases too, and one look at the clock serves both. */
      const now = call.wasHeld || call.attempts > 0 ? clock.now() : call.startedAt
      const leased = call.agent.pool.lease(call, now)
      if (typeof leased === 'string') return refused(call, leased)
      call.take(leased, now)
      return PROCEED
    },
    outlasts(call: AgentCall, refusal) {
      return refusal === 'paused' && waitsForResume(call)
    },
    leave(call: AgentCall) {
      if (call.isWaiting) call.agent.pool.withdraw(call)
      if (call.pauseLimit !== null) {
        wheel.disarm(call.pauseLimit)
        call.pauseLimit = null
      }
      const { connection } = call
      if (connection === null) return
      const now = clock.now()
      const { leasedAt, dueSince } = call
      connection.release(call.leaseOutcome, now - Math.max(leasedAt, dueSince), call, now - leasedAt, now)
    },
  }
}

/** Ends the wait for a resume. Leaves the wheel with the call. */
class PauseLimit implements WheelNode {
  wheelPrev: WheelNode | null = null
  wheelNext: WheelNode | null = null
  wheelSlot: number = NOT_ARMED
  deadlineAt = 0
  readonly #call: AgentCall

  constructor(call: AgentCall) {
    this.#call = call
  }

  onDeadline(): void {
    if (!this.#call.isWaiting) return
    const { name, flowWaitMs } = this.#call.policy
    const more = ` and did not resume within ${flowWaitMs} ms (agents.${name}.flowWaitMs)`
    this.#call.fail(refusalError(name, 'paused', more))
  }
}
