import type { Clock } from '../../core/clock.ts'
import type { Probe } from '../../core/probe.ts'
import type { AgentCall } from '../agent-call.ts'
import type { Layer } from '../layer.ts'

/** Reports each settled call to whoever watches. Left out when nobody does. */
export function traceLayer(probe: Probe, clock: Clock): Layer {
  return {
    name: 'trace',
    leave(call: AgentCall) {
      const agent = call.policy.name
      const phase = call.event.kind
      if (call.bypass !== null) probe.bypass?.(agent, phase, call.bypass)
      const endedAt = clock.now()
      probe.agentCall?.({
        agent,
        phase,
        transport: call.connection?.connection.transport ?? 'none',
        outcome: call.reply?.decision.kind ?? call.error?.code ?? 'INTERNAL',
        isDenied: isDenied(call),
        durationMs: endedAt - call.startedAt,
        queueMs: (call.leasedAt === 0 ? endedAt : call.leasedAt) - call.startedAt,
        correlationId: call.correlationId,
        traceparent: call.scope.facts.traceparent,
      })
    },
  }
}

/** Nobody waits for the answer to a request's end, nor for one that was cancelled. */
function isDenied({ reply, error, bypass, event }: AgentCall): boolean {
  if (reply !== null || bypass !== null) return false
  return event.kind !== 'request-complete' && error?.code !== 'CANCELLED'
}
