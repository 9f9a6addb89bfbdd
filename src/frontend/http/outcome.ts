import type { WeirError } from '../../core/errors.ts'
import type { BypassReason, RequestFacts } from '../../core/probe.ts'
import type { Verdict } from '../../proxy/verdict.ts'
import type { Exchange } from './exchange.ts'
import type { Front } from './front.ts'

/** What only the exchange knows when it ends. */
interface Closing {
  readonly path: string
  /** Of the head that was sent; undefined: none was. */
  readonly status: number | undefined
  /** The whole response was handed to the network. */
  readonly isComplete: boolean
  readonly requestBodySize: number
  readonly responseBodySize: number
  readonly upstreamAttempts: number
}

/** Status in reports for a client that went away before it was answered. */
const CLIENT_GONE = 499

/** How one request went, collected on the way and reported once. */
export class Outcome {
  readonly #startedAt: number
  #decision: RequestFacts['decision'] = 'allow'
  #decidedBy: string | undefined
  #error: WeirError | undefined
  #bypassed: string[] | undefined

  constructor(startedAt: number) {
    this.#startedAt = startedAt
  }

  /** `agent=reason, agent=reason`, each once. */
  get bypassList(): string {
    return this.#bypassed === undefined ? '' : this.#bypassed.join(', ')
  }

  /** Agents that were not heard. */
  note(verdict: Verdict): void {
    for (const { agent, reason } of verdict.bypassed) this.bypassed(agent, reason)
  }

  bypassed(agent: string, reason: BypassReason): void {
    const entry = `${agent}=${reason}`
    if (this.#bypassed === undefined) this.#bypassed = [entry]
    else if (!this.#bypassed.includes(entry)) this.#bypassed.push(entry)
  }

  denied(verdict: Verdict): void {
    this.note(verdict)
    this.#decidedBy = verdict.decidedBy
    this.#error = verdict.error
    this.#decision = verdict.error === undefined ? verdict.decision.kind : 'error'
  }

  failed(error: WeirError): void {
    this.#error = error
    this.#decision = 'error'
  }

  /** Ends the scope and reports. */
  close(exchange: Exchange, front: Front, closing: Closing): void {
    const { scope, request } = exchange
    const isGone = !closing.isComplete && this.#error === undefined && this.#decision === 'allow'
    const status = closing.status ?? CLIENT_GONE
    const durationMs = front.clock.now() - this.#startedAt
    if (isGone) front.dispatcher.abort(scope, 'client-disconnect')
    else if (scope.calls !== null) front.dispatcher.abort(scope, 'upstream-error')
    else if (!scope.chain.wants('request-complete')) front.dispatcher.close(scope, undefined)
    else {
      front.dispatcher.close(scope, {
        kind: 'request-complete',
        correlationId: scope.correlationId,
        status,
        durationMs,
        requestBodySize: closing.requestBodySize,
        responseBodySize: closing.responseBodySize,
        upstreamAttempts: closing.upstreamAttempts,
        upstream: exchange.route.target.origin,
        fromCache: false,
        error: this.#error?.message,
      })
    }
    front.probe.requestDone?.({
      correlationId: scope.correlationId,
      requestId: exchange.requestId,
      route: exchange.route.name,
      method: request.method!,
      path: closing.path,
      status,
      durationMs,
      decision: isGone ? 'error' : this.#decision,
      decidedBy: this.#decidedBy,
      error: isGone ? 'CANCELLED' : this.#error?.code,
      reason: this.#error?.message,
      bypassed: this.#bypassed ?? [],
    })
  }
}
