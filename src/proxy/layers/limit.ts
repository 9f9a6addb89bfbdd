import { WeirError } from '../../core/errors.ts'
import type { AgentCall } from '../agent-call.ts'
import { HELD, type Layer, PROCEED, type Step } from '../layer.ts'
import type { LimitGate, LimitVerdict } from '../limits/limit-gate.ts'

/**
 * Bans and rate limits, asked before anything is queued or sent. Ends of requests are always let through. Tokens of
 * an event that was never sent are given back.
 */
export function limitLayer(limits: LimitGate): Layer {
  return {
    name: 'limit',
    enter(call: AgentCall) {
      if (call.event.kind === 'request-complete') return PROCEED
      const verdict = limits.check(call)
      if (!(verdict instanceof Promise)) return apply(call, verdict)
      void verdict.then(
        (late) => {
          if (call.isSettled) giveBack(call, late)
          else if (apply(call, late) === PROCEED) call.resume()
        },
        (thrown) => call.fail(WeirError.from(thrown, 'STORAGE')),
      )
      return HELD
    },
    leave(call: AgentCall) {
      const { limitReceipt } = call
      if (limitReceipt === null) return
      call.limitReceipt = null
      if (call.error !== null && !call.error.sent) limits.refund(call, limitReceipt)
    },
  }

  /** The call ended while its tokens were being fetched. */
  function giveBack(call: AgentCall, verdict: LimitVerdict): void {
    const receipt = verdict.allowed ? verdict : verdict.taken
    if (receipt !== undefined) limits.refund(call, receipt)
  }
}

function apply(call: AgentCall, verdict: LimitVerdict): Step {
  if (verdict.allowed) {
    call.limitReceipt = verdict
    return PROCEED
  }
  if (verdict.shadow) {
    call.limitReceipt = verdict.taken ?? null
    return PROCEED
  }
  const { retryAfterMs, rule, limit, ratePerSecond, remaining, resetMs } = verdict
  const because = verdict.reason === undefined ? '' : `: ${verdict.reason}`
  if (verdict.isUnknown === true) {
    /* No client did too much: this is our own trouble, and no quota to tell of. */
    const message = `the limit ${rule} of agent ${call.policy.name} cannot be checked${because}`
    call.fail(new WeirError('STORAGE', message, { sent: false, retryAfterMs }))
    return HELD
  }
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
