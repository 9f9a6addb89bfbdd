import type { HealthReport } from '../../core/agent-messages.ts'
import { Backoff } from '../../core/backoff.ts'
import type { Random } from '../../core/random.ts'
import type { EjectionGroup } from './ejection-group.ts'
import { FailureScore } from './failure-score.ts'
import type { HealthSettings } from './health-options.ts'
import { ReportedHealth } from './reported-health.ts'

/** What the pool makes of a connection. Draining and ejected ones get nothing new. */
export type ConnectionHealth = 'healthy' | 'degraded' | 'draining' | 'ejected'

/** Our own judgement, from evidence. `ejected` until a trial succeeds. */
type Verdict = 'healthy' | 'degraded' | 'ejected'

/** Why a connection was ejected, which decides what brings it back before its trial. */
type Cause =
  /** Failures: nothing but a trial. */
  | 'failures'
  /** Events waited and none was answered: a reply. */
  | 'stalled'
  /** Pings went unanswered: a reply or a pong. */
  | 'unreachable'

/** Lasts from an ejection to the reinstatement. */
interface Ejection {
  readonly cause: Cause
  /** Since when the present pause runs. What began earlier is no trial. */
  pausedAt: number
  /** When the next trial may start. */
  trialAt: number
  /** A trial is out, since then. NaN: none. */
  triedAt: number
}

/** Weight of an ejected connection whose trial is due: it shall come soon, not first. */
const TRIAL_WEIGHT = 0.25
/** A bad score never shuts a usable connection out completely; that is what ejection is for. */
const LOWEST_WEIGHT = 0.05
/** Score after a successful trial: degraded, two half-lives or a dozen good replies away from healthy. */
const SCORE_AFTER_TRIAL = 0.7

/**
 * Health of one connection: the only writer of that fact. Every method is O(1) and allocates nothing. States and
 * transitions are drawn in the README of `policy`.
 */
export class Health {
  #settings: HealthSettings
  readonly #group: EjectionGroup
  readonly #random: Random
  /* Made with the first evidence of their kind: most connections of a large fleet are idle, and never fail. */
  #score: FailureScore | undefined
  #pauses: Backoff | undefined
  #reported: ReportedHealth | undefined

  #verdict: Verdict = 'healthy'
  /** Defined while the verdict is `ejected`, and only then. */
  #ejection: Ejection | undefined
  #failuresInRow = 0
  #pingsMissed = 0
  /** Whole milliseconds: V8 keeps a small integer in the object itself, a fraction in a box of its own. */
  #repliedAt: number
  #isClosed = false

  constructor(settings: HealthSettings, group: EjectionGroup, random: Random, now: number) {
    this.#settings = settings
    this.#group = group
    this.#random = random
    this.#repliedAt = Math.floor(now)
    group.join()
  }

  /** Judges by other settings from now on; what is known stays. */
  retune(settings: HealthSettings): void {
    this.#settings = settings
  }

  /** The agent's word on draining and unhealthy goes first, then our own judgement. */
  state(now: number): ConnectionHealth {
    const reported = this.#reported?.state(now)
    if (reported === 'draining') return 'draining'
    if (reported === 'unhealthy' || this.#verdict === 'ejected') return 'ejected'
    this.#settle(now)
    return reported === 'degraded' ? 'degraded' : this.#verdict
  }

  /** Whether a new event may go here: healthy, degraded, or ejected with a trial due. */
  admits(now: number): boolean {
    const reported = this.#reported?.state(now)
    if (reported === 'draining' || reported === 'unhealthy') return false
    const ejection = this.#ejection
    return ejection === undefined || this.#isTrialDue(ejection, now) || this.#group.isOver
  }

  /** Share of traffic, 0 to 1; 0 exactly when nothing is admitted. Slow start is not part of it. */
  weight(now: number): number {
    if (!this.admits(now)) return 0
    if (this.#verdict === 'ejected') return TRIAL_WEIGHT
    const score = this.#settle(now)
    const isDegraded = this.#verdict === 'degraded' || this.#reported?.state(now) === 'degraded'
    return Math.max(LOWEST_WEIGHT, isDegraded ? score * this.#settings.degradedFactor : score)
  }

  /** Share of good outcomes among recent ones, 0 to 1. */
  score(now: number): number {
    return this.#score?.value(now) ?? 1
  }

  /** Factor for deadlines that a degraded agent asked for, 1 to 10. */
  timeoutMultiplier(now: number): number {
    return this.#reported?.timeoutMultiplier(now) ?? 1
  }

  /** Instant from which a trial may start; undefined unless ejected by our own judgement. */
  get trialAt(): number | undefined {
    return this.#ejection?.trialAt
  }

  /** An event was leased to this connection. On an ejected one it is the trial. */
  leased(now: number): void {
    const ejection = this.#ejection
    if (ejection !== undefined && this.#isTrialDue(ejection, now)) ejection.triedAt = now
  }

  /**
   * A usable reply came. `beganAt`: when its event was leased; events from before an ejection still end during the
   * trial, and neither pass nor fail it.
   */
  replied(now: number, beganAt: number = now): void {
    this.#failuresInRow = 0
    this.#pingsMissed = 0
    this.#repliedAt = Math.floor(now)
    this.#evidence(now).countGood(now)
    const ejection = this.#ejection
    if (ejection === undefined) this.#settle(now)
    else if (isTrial(ejection, beganAt) || ejection.cause !== 'failures') this.#reinstate(now)
  }

  /** An event failed on this connection: timeout, error, unusable reply. */
  failed(now: number, beganAt: number = now): void {
    this.#failuresInRow++
    this.#evidence(now).countBad(now)
    if (this.#ejection !== undefined) {
      if (isTrial(this.#ejection, beganAt)) this.#pauseAgain(this.#ejection, now)
      return
    }
    const { consecutiveFailures, ejectBelow } = this.#settings
    const isOut = this.#failuresInRow >= consecutiveFailures || this.score(now) < ejectBelow
    if (isOut) this.#eject('failures', now)
    else this.#settle(now)
  }

  /** A lease ended without evidence: cancelled by the caller or never sent. A trial gives its place back. */
  withdrawn(beganAt: number = Number.POSITIVE_INFINITY): void {
    const ejection = this.#ejection
    if (ejection !== undefined && isTrial(ejection, beganAt)) ejection.triedAt = Number.NaN
  }

  /** A ping was answered. Proves the link, not the agent's work. */
  ponged(now: number): void {
    this.#pingsMissed = 0
    if (this.#ejection?.cause === 'unreachable') this.#reinstate(now)
  }

  /** A ping was not answered in time. */
  pingMissed(now: number): void {
    this.#pingsMissed++
    if (this.#pingsMissed >= this.#settings.missedPings) this.#eject('unreachable', now)
  }

  /**
   * The watchdog's reading: age of the oldest unanswered event, 0 for none. One slow event beside answered ones
   * is no stall, so replies must have stopped as well.
   */
  progressed(oldestUnansweredMs: number, now: number): void {
    const { stallMs } = this.#settings
    if (oldestUnansweredMs >= stallMs && now - this.#repliedAt >= stallMs) this.#eject('stalled', now)
  }

  /** The agent's own report, see {@link ReportedHealth.apply}. */
  reported(report: HealthReport, now: number, wallMs: number): void {
    this.#reported ??= new ReportedHealth()
    this.#reported.apply(report, now, wallMs)
  }

  /** Nothing has happened for a while: lets go of evidence that has decayed to nothing. */
  rest(now: number): void {
    if (this.#score?.isBlank(now) === true) this.#score = undefined
  }

  /** The connection is gone; its place in the group is free. Twice is harmless. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#group.leave(this.#verdict === 'ejected')
  }

  #evidence(now: number): FailureScore {
    this.#score ??= new FailureScore(this.#settings.halfLifeMs, now)
    return this.#score
  }

  #isTrialDue({ trialAt, triedAt }: Ejection, now: number): boolean {
    if (now < trialAt) return false
    return Number.isNaN(triedAt) || now - triedAt >= this.#settings.trialTimeoutMs
  }

  /** Moves between healthy and degraded as the score says; returns it. Only while not ejected. */
  #settle(now: number): number {
    const score = this.score(now)
    if (this.#verdict === 'healthy' && score < this.#settings.degradeBelow) {
      this.#verdict = 'degraded'
    } else if (this.#verdict === 'degraded' && score > this.#settings.recoverAbove) {
      this.#verdict = 'healthy'
      this.#pauses?.reset()
    }
    return score
  }

  /** Ejects, or only degrades when too large a share of the agent's connections is out already. */
  #eject(cause: Cause, now: number): void {
    if (this.#verdict === 'ejected' || this.#isClosed) return
    if (this.#group.tryEject()) {
      this.#verdict = 'ejected'
      this.#ejection = { cause, pausedAt: now, trialAt: now, triedAt: Number.NaN }
      this.#pauseAgain(this.#ejection, now)
      return
    }
    this.#verdict = 'degraded'
    if (this.score(now) > SCORE_AFTER_TRIAL) this.#evidence(now).startAt(SCORE_AFTER_TRIAL, now)
  }

  #pauseAgain(ejection: Ejection, now: number): void {
    ejection.triedAt = Number.NaN
    ejection.pausedAt = now
    const { pauseMs, maxPauseMs } = this.#settings
    this.#pauses ??= new Backoff(this.#random, { initialMs: pauseMs, maxMs: Math.max(pauseMs, maxPauseMs) })
    ejection.trialAt = now + this.#pauses.next()
  }

  #reinstate(now: number): void {
    if (this.#isClosed) return
    this.#group.reinstate()
    this.#verdict = 'degraded'
    this.#ejection = undefined
    this.#failuresInRow = 0
    this.#pingsMissed = 0
    this.#repliedAt = Math.floor(now)
    this.#evidence(now).startAt(SCORE_AFTER_TRIAL, now)
  }
}

/** Whether an event leased at `beganAt` is the trial that is out. */
function isTrial({ triedAt, pausedAt }: Ejection, beganAt: number): boolean {
  return !Number.isNaN(triedAt) && beganAt >= pausedAt
}
