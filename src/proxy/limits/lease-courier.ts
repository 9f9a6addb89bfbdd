import type { Clock } from '../../core/clock.ts'
import { WeirError } from '../../core/errors.ts'
import type { Probe } from '../../core/probe.ts'
import type { CachedBucket } from './cached-bucket.ts'
import type { LeaseAsk, LeaseGrant, LimitStore } from './limit-store.ts'

/** What the courier needs of the limiter. */
export interface CourierHost {
  /** Made at the last moment, so that it says how things are when the store reads it. */
  compose(bucket: CachedBucket, nowMs: number): LeaseAsk
  granted(bucket: CachedBucket, grant: LeaseGrant): void
  /** The outcome is unknown; what was granted, if anything, must not be spent. `ask`: undefined if never sent. */
  failed(bucket: CachedBucket, ask: LeaseAsk | undefined): void
}

export interface CourierOptions {
  readonly store: LimitStore
  readonly clock: Clock
  readonly host: CourierHost
  readonly probe: Probe
  /** Longest that a check waits for the store. */
  readonly timeoutMs: number
}

/** Asks in one call that checks wait for. */
const BATCH = 256
/**
 * Asks in one call behind them. At first: encoded and decoded in a fraction of a millisecond. The bounds are those within
 * which measured load may move it: 16 still carry 100,000 buckets in seconds, 1024 take the event loop about 2 ms.
 */
export const CHECKPOINT_BATCH = { min: 16, max: 1024, initial: 128 } as const
/** Calls on their way for waiting checks; more are queued. */
const URGENT_CALLS = 4
/** A store that is slow now and then is not news each time. */
const NOTICE_EVERY_MS = 10_000
const TRIAL: Omit<LeaseAsk, 'atMs'> = {
  key: '\nweir-trial',
  rate: 1,
  burst: 1,
  seq: 0,
  give: 0,
  owed: 0,
  want: 0,
  least: 0,
  ahead: 0,
}

/**
 * Carries asks to the store: those that a check waits for first, checkpoints and returns in slices behind
 * them, one slice at a time. A call that fails or takes too long makes the store count as out of reach, and
 * from then on nobody waits for it until a trial succeeds.
 */
export class LeaseCourier {
  readonly #store: LimitStore
  readonly #clock: Clock
  readonly #host: CourierHost
  readonly #probe: Probe
  /** Longest that a call may take before the store counts as out of reach. */
  timeoutMs: number
  #urgent: CachedBucket[] = []
  readonly #later: CachedBucket[] = []
  #laterHead = 0
  #urgentCalls = 0
  #isSendingLater = false
  /** Asks in one call that nobody waits for, >= 1. */
  laterBatch: number = CHECKPOINT_BATCH.initial
  #largestBatch = 0
  #isScheduled = false
  #isFailing = false
  #failingSinceMs = 0
  #failures = 0
  #lastError: string | undefined
  #isNoticed = false
  #noticedAtMs = Number.NEGATIVE_INFINITY
  /** Buckets ever queued behind the waiting ones, and those of them that were answered. */
  #queued = 0
  #answered = 0
  #onSettled: { readonly target: number; readonly isAll: boolean; readonly tell: () => void }[] = []

  constructor(options: CourierOptions) {
    this.#store = options.store
    this.#clock = options.clock
    this.#host = options.host
    this.#probe = options.probe
    this.timeoutMs = options.timeoutMs
  }

  /** The last call failed; asks are answered by the limiter's policy meanwhile. */
  get isFailing(): boolean {
    return this.#isFailing
  }

  /** How long the store has been out of reach, milliseconds; 0: it is there. */
  get failingForMs(): number {
    return this.#isFailing ? this.#clock.now() - this.#failingSinceMs : 0
  }

  get failures(): number {
    return this.#failures
  }

  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Asks that wait to be sent, and calls on their way. */
  get backlog(): number {
    return this.#laterCount + this.#urgent.length + this.#urgentCalls + Number(this.#isSendingLater)
  }

  /** Asks as soon as this turn ends. */
  ask(bucket: CachedBucket): void {
    if (bucket.askState === 'sent' || bucket.askState === 'urgent') return
    bucket.askState = 'urgent'
    this.#urgent.push(bucket)
    this.#schedule()
  }

  /** Asks behind everybody who waits. */
  askLater(bucket: CachedBucket): void {
    if (bucket.askState !== 'idle') return
    bucket.askState = 'queued'
    this.#later.push(bucket)
    this.#queued++
    this.#schedule()
  }

  /** Everything that is queued behind the waiting checks now was answered, or the store is out of reach. */
  settled(): Promise<void> {
    if (this.#isFailing || this.#answered >= this.#queued) return Promise.resolve()
    const target = this.#queued
    return new Promise((tell) => this.#onSettled.push({ target, isAll: false, tell }))
  }

  /** Nothing is queued or on its way any more, or the store is out of reach. */
  quiet(): Promise<void> {
    if (this.#isFailing || this.#isQuiet) return Promise.resolve()
    return new Promise((tell) => this.#onSettled.push({ target: 0, isAll: true, tell }))
  }

  /** Asks a store that counts as out of reach for a write; success ends that state. */
  async tryAgain(): Promise<void> {
    if (this.#isFailing) await this.#call([{ ...TRIAL, atMs: this.#clock.now() }])
  }

  /**
   * Judges the store by a call that somebody made: late or failed, it is out of reach; `isWrite`: answered, it is there
   * (a file that nobody may write can still be read). Never rejects.
   */
  watch<T>(
    call: T | Promise<T>,
    isWrite: boolean,
    timeoutMs: number = this.timeoutMs,
  ): Promise<T | WeirError> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(timeoutMs, () => {
        const error = new WeirError('STORAGE', `limit store gave no answer within ${timeoutMs} ms`)
        this.#fail(error)
        resolve(error)
      })
      Promise.resolve(call).then(
        (answer) => {
          timer.cancel()
          /* In time or not, it shows that the store answers. */
          if (isWrite) this.#recover()
          resolve(answer)
        },
        (thrown: unknown) => {
          timer.cancel()
          const error = WeirError.from(thrown, 'STORAGE')
          this.#fail(error)
          resolve(error)
        },
      )
    })
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#isFailing) {
      this.#abandonUrgent()
      return
    }
    while (this.#urgentCalls < URGENT_CALLS && this.#urgent.length > 0) {
      const batch = this.#urgent.splice(0, BATCH).filter((bucket) => bucket.askState === 'urgent')
      if (batch.length === 0) continue
      this.#urgentCalls++
      this.#deliver(batch, () => this.#urgentCalls--)
    }
    if (this.#isSendingLater) return
    const before = this.#laterCount
    const batch = this.#takeLater()
    const answered = before - this.#laterCount
    if (batch.length > 0) {
      this.#isSendingLater = true
      this.#deliver(batch, () => {
        this.#isSendingLater = false
        this.#answered += answered
      })
    } else {
      this.#answered += answered
    }
    this.#tellSettled()
  }

  get #isQuiet(): boolean {
    return this.backlog === 0
  }

  get #laterCount(): number {
    return this.#later.length - this.#laterHead
  }

  /** Asks of the largest call since the last time that nobody waited for. */
  takeLargestBatch(): number {
    const largest = this.#largestBatch
    this.#largestBatch = 0
    return largest
  }

  #takeLater(): CachedBucket[] {
    const batch: CachedBucket[] = []
    while (batch.length < this.laterBatch && this.#laterHead < this.#later.length) {
      const bucket = this.#later[this.#laterHead++]!
      if (bucket.askState === 'queued') batch.push(bucket)
    }
    if (batch.length > this.#largestBatch) this.#largestBatch = batch.length
    if (this.#laterHead === this.#later.length) {
      this.#later.length = 0
      this.#laterHead = 0
    }
    return batch
  }

  #deliver(batch: readonly CachedBucket[], onDone: () => void): void {
    const now = this.#clock.now()
    const asks = batch.map((bucket) => {
      bucket.askState = 'sent'
      return this.#host.compose(bucket, now)
    })
    void this.#call(asks).then((outcome) => {
      onDone()
      for (let index = 0; index < batch.length; index++) {
        const bucket = batch[index]!
        bucket.askState = 'idle'
        if (outcome instanceof WeirError) this.#host.failed(bucket, asks[index]!)
        else this.#host.granted(bucket, outcome[index]!)
      }
      /* A turn of the event loop between slices lets traffic pass. */
      if (this.#laterCount > 0 && this.#urgent.length === 0) setImmediate(() => this.#pump())
      else this.#pump()
    })
  }

  /** An answer after the timeout is dropped, which is safe: its tokens are debited, not spent. */
  #call(asks: readonly LeaseAsk[]): Promise<readonly LeaseGrant[] | WeirError> {
    return this.watch(this.#store.settle(asks), true)
  }

  #fail(error: WeirError): void {
    this.#failures++
    this.#lastError = error.message
    if (this.#isFailing) return
    this.#isFailing = true
    const now = this.#clock.now()
    this.#failingSinceMs = now
    this.#isNoticed = now - this.#noticedAtMs >= NOTICE_EVERY_MS
    if (this.#isNoticed) {
      this.#noticedAtMs = now
      this.#probe.notice?.('error', `limit store is out of reach: ${error.message}`)
    }
    this.#abandonUrgent()
    this.#tellSettled()
  }

  #recover(): void {
    if (!this.#isFailing) return
    this.#isFailing = false
    if (this.#isNoticed) this.#probe.notice?.('info', 'limit store answers again')
    this.#schedule()
  }

  #abandonUrgent(): void {
    const abandoned = this.#urgent
    this.#urgent = []
    for (const bucket of abandoned) {
      if (bucket.askState !== 'urgent') continue
      bucket.askState = 'idle'
      this.#host.failed(bucket, undefined)
    }
  }

  #tellSettled(): void {
    if (this.#onSettled.length === 0) return
    const isDone = (one: { readonly target: number; readonly isAll: boolean }): boolean =>
      this.#isFailing || (one.isAll ? this.#isQuiet : this.#answered >= one.target)
    const done = this.#onSettled.filter(isDone)
    this.#onSettled = this.#onSettled.filter((one) => !isDone(one))
    for (const { tell } of done) tell()
  }
}
