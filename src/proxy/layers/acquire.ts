import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import { NOT_ARMED, type TimerWheel, type WheelNode } from '../../core/timer-wheel.ts'
import type { Refusal } from '../../pool/lease.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED, type Step } from '../layer.ts'

/**
 * Picks and leases a connection in one turn, or applies the rule for why there is none: a full pool queues, a
 * paused one follows `onPause`, the rest fails at once. Releases the lease on the way out, whatever happened.
 */
export function acquireLayer(wheel: TimerWheel, clock: Clock): Layer {
  const enqueue = (call: AgentCall): Step => {
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
    call.fail(refusalError(call, refusal))
    return HELD
  }
  return {
    name: 'acquire',
    enter(call: AgentCall) {
      const leased = call.agent.pool.lease(call)
      if (typeof leased === 'string') return refused(call, leased)
      /* Nothing waited: the turn that began the call leases too, and one look at the clock serves both. */
      call.take(leased, call.wasHeld ? clock.now() : call.startedAt)
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
      const latencyMs = clock.now() - call.leasedAt
      connection.release(call.leaseOutcome, latencyMs, call)
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
    if (this.#call.isWaiting) this.#call.fail(refusalError(this.#call, 'paused'))
  }
}

function refusalError(call: AgentCall, refusal: Refusal): WeirError {
  const { name, flowWaitMs, onPause } = call.policy
  const unsent = { sent: false }
  switch (refusal) {
    case 'paused': {
      const waited = onPause === 'wait' ? ` and did not resume within ${flowWaitMs} ms` : ''
      return new WeirError('PAUSED', `agent ${name} paused all its connections${waited}`, unsent)
    }
    case 'full':
      return new WeirError('OVERLOADED', `every connection of agent ${name} is full`, unsent)
    case 'draining':
      return new WeirError('DRAINING', `agent ${name} is being drained`, unsent)
    case 'breaker-open':
      return new WeirError('UNAVAILABLE', `agent ${name} failed repeatedly, its breaker is open`, unsent)
    case 'affinity-lost':
      return new WeirError(
        'AFFINITY_LOST',
        `the connection to agent ${name} that has this request is gone`,
        unsent,
      )
    case 'unavailable':
      return new WeirError('UNAVAILABLE', `agent ${name} has no live connection`, unsent)
  }
}
