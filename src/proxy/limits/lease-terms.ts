import type { CachedBucket } from './cached-bucket.ts'
import type { LeaseAsk } from './limit-store.ts'

/**
 * Refill taken from the store before its time, so that a bucket in use is topped up once a second and its
 * checks never wait. It is also the most that a crash can cost: that much refill is then nobody's.
 */
export const AHEAD_MS = 1500
/** Tokens held at least; a crash costs no more than this, an eighth of the burst, or four checkpoints' use. */
const LEAST_RESERVE = 16
/** Of the burst: held at most, unless a second's refill is more, so that an idle holder leaves tokens to the others. */
const MOST_RESERVE = 0.25
/** Milliseconds: what is held for no longer than this evaporates before giving it back would help anybody. */
const SOON_MS = 2000
/**
 * Refill that is leased on top of what waiting checks cost, milliseconds: more than the store's answer may take (250 by
 * default). Places evaporate as the line refills; without it a cost as large as the burst is never covered in time.
 */
const ANSWER_MS = 300
/** Of the rate, in seconds, while somebody else wants tokens of the same bucket. */
const CONTENDED_RESERVE_S = 0.05

/** What to ask of the store for a bucket in use. Moves what is booked on the bucket into the ask. */
export function askForUse(bucket: CachedBucket, nowMs: number): LeaseAsk {
  const tokens = bucket.bucket
  const waiting = bucket.waitingCost
  const held = tokens.held(nowMs)
  const mostReserve = Math.max(tokens.burst * MOST_RESERVE, tokens.rate)
  const margin = waiting > 0 ? (tokens.rate / 1000) * ANSWER_MS : 0
  const least = Math.max(0, waiting + margin - held)
  const reserve = bucket.isContended
    ? waiting + tokens.rate * CONTENDED_RESERVE_S
    : waiting + Math.min(mostReserve, Math.max(LEAST_RESERVE, tokens.burst / 8, 4 * bucket.spent))
  const aheadMs = bucket.isContended ? 0 : AHEAD_MS
  const wanted = tokens.wanted(nowMs, reserve, aheadMs)
  const give = wanted < 0 ? tokens.giveBack(nowMs, -wanted) : 0
  const ahead = Math.max(margin, (tokens.rate / 1000) * aheadMs)
  return ask(bucket, nowMs, give, Math.max(wanted, least, 0), least, ahead)
}

/** The bucket rests and holds what another process could use meanwhile. */
export function isIdleHolder(bucket: CachedBucket, nowMs: number): boolean {
  return bucket.bucket.held(nowMs) > 0 && bucket.bucket.heldForMs(nowMs) > SOON_MS
}

/** Gives everything back: the bucket rests or leaves the memory, or the process ends. */
export function askForReturn(bucket: CachedBucket, nowMs: number): LeaseAsk {
  const give = bucket.bucket.giveBackAll(nowMs)
  return ask(bucket, nowMs, give, 0, 0, 0)
}

function ask(
  bucket: CachedBucket,
  atMs: number,
  give: number,
  want: number,
  least: number,
  ahead: number,
): LeaseAsk {
  const { key, seq } = bucket
  const { rate, burst } = bucket.bucket
  /* What was refilled since is nobody's debt any more: an outage of an hour must not be paid for in the next one. */
  const debt = bucket.bucket.debt(atMs)
  const owed = bucket.isUnbooked ? debt : Math.min(bucket.owed, debt)
  bucket.isUnbooked = false
  bucket.owed = 0
  bucket.spent = 0
  return { key, rate, burst, atMs, seq, give, owed, want, least, ahead }
}
