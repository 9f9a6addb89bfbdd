import type { CachedBucket, LimitScope } from './cached-bucket.ts'
import {
  ALLOWED,
  type LimitAllowed,
  type LimitDenied,
  type LimitRequest,
  type LimitVerdict,
} from './limit-gate.ts'

export function costOf(scope: LimitScope, request: LimitRequest): number {
  return scope.isPerByte ? request.payloadBytes : 1
}

/**
 * What one check took from several limits, so that exactly that goes back: a limit that let the event pass uncounted
 * (its store is out of reach), or that would have denied it (shadow mode), must not be paid for what it never gave.
 */
export class Receipt implements LimitAllowed {
  readonly allowed = true
  readonly #charged: CachedBucket[] = []
  readonly #takenAtMs: number
  #shadow: LimitDenied | undefined

  /** `takenAtMs`: `Clock.now()` of the check, or before it. */
  constructor(takenAtMs: number) {
    this.#takenAtMs = takenAtMs
  }

  /** Notes one limit's answer. A denial that is enforced is returned, and the others have their tokens back. */
  add(
    answer: LimitVerdict,
    bucket: CachedBucket,
    request: LimitRequest,
    nowMs: number,
  ): LimitDenied | undefined {
    if (answer.allowed) {
      if (answer === ALLOWED) this.#charged.push(bucket)
      return undefined
    }
    if (answer.shadow) {
      this.#shadow = answer
      return undefined
    }
    this.refund(request, nowMs)
    return answer
  }

  /** All limits were asked, and none that is enforced denied. */
  get verdict(): LimitVerdict {
    return this.#shadow === undefined ? this : { ...this.#shadow, taken: this }
  }

  refund(request: LimitRequest, nowMs: number): void {
    for (const { bucket, scope } of this.#charged)
      bucket.refund(costOf(scope, request), this.#takenAtMs, nowMs)
    this.#charged.length = 0
  }
}
