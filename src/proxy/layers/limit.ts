import { WeirError } from '../../core/errors.ts'
import type { AgentEvent } from '../../core/event.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED, type Step } from '../layer.ts'
import type { LimitGate, LimitVerdict } from '../limits/limit-gate.ts'

/** Bans and rate limits, asked before anything is queued or sent. Ends of requests are always let through. */
export function limitLayer(limits: LimitGate): Layer {
  return {
    name: 'limit',
    enter(call: AgentCall) {
      if (call.event.kind === 'request-complete') return PROCEED
      const { scope, event } = call
      const verdict = limits.check({
        agent: call.policy.name,
        facts: scope.facts,
        routeName: scope.chain.name,
        bytes: bytesOf(event),
      })
      if (!(verdict instanceof Promise)) return apply(call, verdict)
      void verdict.then(
        (late) => {
          if (apply(call, late) === PROCEED) call.resume()
        },
        (thrown) => call.fail(WeirError.from(thrown, 'STORAGE')),
      )
      return HELD
    },
  }
}

function apply(call: AgentCall, verdict: LimitVerdict): Step {
  if (verdict.allowed || verdict.shadow) return PROCEED
  const { retryAfterMs, rule, limit, ratePerSecond, remaining, resetMs } = verdict
  const because = verdict.reason === undefined ? '' : `: ${verdict.reason}`
  const what = verdict.code === 'BANNED' ? 'is banned' : 'is over its rate limit'
  call.fail(
    new WeirError(verdict.code, `agent ${call.policy.name} ${what}${because}`, {
      sent: false,
      retryAfterMs,
      limit: { rule, limit, ratePerSecond, remaining, resetMs },
    }),
  )
  return HELD
}

function bytesOf(event: AgentEvent): number {
  return 'data' in event ? event.data.length : 0
}
