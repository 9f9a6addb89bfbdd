import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED } from '../layer.ts'
import { UNPINNED } from '../request-scope.ts'

/**
 * All events of one request go to one connection. A body chunk whose connection is gone, or whose request sat
 * idle past the TTL, fails with AFFINITY_LOST: another connection has not seen what came before. Other events
 * may start afresh, and the pin goes with them: a body that belongs to what came before does not follow it. Left out for agents that get one event of a request at most.
 */
export function affinityLayer(clock: Clock, idleTtlMs: number): Layer {
  return {
    name: 'affinity',
    enter(call: AgentCall) {
      const { scope } = call
      const pin = scope.pinOf(call.policy.name)
      if (pin === UNPINNED) return PROCEED
      const fresh = scope.touch(call.policy.name, clock.now(), idleTtlMs)
      const home = call.isBody ? call.bodyShare?.connectionId || pin : pin
      if (fresh && home === pin && call.agent.pool.find(pin) !== undefined) {
        call.pinnedTo = pin
        return PROCEED
      }
      if (!call.isBody) {
        call.startAfresh(pin)
        return PROCEED
      }
      const why = fresh ? 'its connection is gone' : `the request sat idle for more than ${idleTtlMs} ms`
      call.fail(
        new WeirError(
          'AFFINITY_LOST',
          `agent ${call.policy.name} cannot judge the rest of this body: ${why}`,
          {
            sent: false,
          },
        ),
      )
      return HELD
    },
  }
}
