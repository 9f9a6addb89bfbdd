import type { Ban } from './ban-book.ts'
import type { CachedBucket } from './cached-bucket.ts'
import type { LimitDenied } from './limit-gate.ts'

/** The bucket lacks tokens, here or (`storeWaitMs`) in what other holders left. */
export function outOfTokens(
  bucket: CachedBucket,
  nowMs: number,
  cost: number,
  storeWaitMs: number | undefined = 0,
): LimitDenied {
  const { rule } = bucket.scope
  const ownWaitMs = bucket.bucket.retryAfterMs(nowMs, cost)
  const never = ownWaitMs === undefined || storeWaitMs === undefined
  return {
    allowed: false,
    code: 'RATE_LIMITED',
    retryAfterMs: never ? undefined : Math.max(ownWaitMs, storeWaitMs),
    limit: rule.burst,
    ratePerSecond: rule.ratePerSecond,
    remaining: Math.floor(bucket.bucket.remaining(nowMs) + 1e-6),
    resetMs: bucket.bucket.resetMs(nowMs),
    rule: rule.name,
    shadow: rule.shadow,
    ...(cost > rule.burst
      ? { reason: `cost ${cost} is above the burst ${rule.burst} and can never pass: raise the burst` }
      : {}),
  }
}

/** Nobody can say whether there are tokens, and the policy is to deny then. */
export function storeOutOfReach(bucket: CachedBucket, nowMs: number): LimitDenied {
  const { rule } = bucket.scope
  return {
    allowed: false,
    code: 'RATE_LIMITED',
    retryAfterMs: 1000,
    limit: rule.burst,
    ratePerSecond: rule.ratePerSecond,
    remaining: 0,
    resetMs: bucket.bucket.resetMs(nowMs),
    rule: rule.name,
    reason: 'the limit store is out of reach or was lost just now, and onStoreFailure is deny',
    shadow: rule.shadow,
  }
}

/** A permanent ban has no `retryAfterMs`: waiting does not help. */
export function banned(ban: Ban): LimitDenied {
  return {
    allowed: false,
    code: 'BANNED',
    retryAfterMs: ban.remainingMs,
    limit: 0,
    ratePerSecond: 0,
    remaining: 0,
    resetMs: ban.remainingMs,
    rule: 'ban',
    reason: ban.reason,
    shadow: false,
  }
}
