import type { Clock, TimerHandle } from './clock.ts'

/**
 * A thing with a deadline. The fields belong to the wheel; embed them so that arming a deadline allocates
 * nothing. A node sits in at most one wheel. Start with `wheelSlot: -1` and null links.
 */
export interface WheelNode {
  wheelPrev: WheelNode | null
  wheelNext: WheelNode | null
  /** Bucket the node sits in; NOT_ARMED or DUE otherwise. */
  wheelSlot: number
  /** The wheel's clock, milliseconds. */
  deadlineAt: number
  /** Called once, never before the deadline and at most two ticks late (a busy event loop aside). */
  onDeadline(): void
}

export const NOT_ARMED = -1
/** Taken out of its bucket, about to fire; `disarm` still prevents it. */
const DUE = -2

/** Resolution in milliseconds. Far below any timeout people set (hundreds of milliseconds). */
const TICK_MS = 4
/** Buckets; one turn is 4 ms x 512 = 2 s, longer deadlines ride along for several turns. */
const BUCKETS = 512

/**
 * Deadlines of all events in flight behind one timer. Arm and disarm are O(1) and allocate nothing; the timer
 * runs only while something is armed, so an idle process sleeps.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #heads: (WheelNode | null)[] = new Array<WheelNode | null>(BUCKETS).fill(null)
  readonly #onError: (error: unknown) => void
  #armed = 0
  /** The last tick whose bucket was emptied; every armed node sits in a later tick's bucket. */
  #tick = 0
  #timer: TimerHandle | undefined

  /** `onError` gets whatever an `onDeadline` throws; the other deadlines still fire. */
  constructor(clock: Clock, onError: (error: unknown) => void = throwLater) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Nodes armed now. */
  get size(): number {
    return this.#armed
  }

  /** Arms a node that is not armed. A deadline in the past fires at the next tick. */
  arm(node: WheelNode, deadlineAt: number): void {
    if (this.#armed === 0) this.#tick = Math.floor(this.#clock.now() / TICK_MS)
    const tick = Math.max(Math.ceil(deadlineAt / TICK_MS), this.#tick + 1)
    const slot = tick % BUCKETS
    const head = this.#heads[slot]!
    node.deadlineAt = deadlineAt
    node.wheelSlot = slot
    node.wheelPrev = null
    node.wheelNext = head
    if (head !== null) head.wheelPrev = node
    this.#heads[slot] = node
    this.#armed++
    if (this.#timer === undefined) this.#schedule()
  }

  /** Takes a node out. A node that fired or was never armed is left alone. */
  disarm(node: WheelNode): void {
    if (node.wheelSlot >= 0) this.#unlink(node)
    node.wheelSlot = NOT_ARMED
  }

  /** Stops the timer; armed nodes never fire. */
  close(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #unlink(node: WheelNode): void {
    const { wheelPrev, wheelNext } = node
    if (wheelNext !== null) wheelNext.wheelPrev = wheelPrev
    if (wheelPrev !== null) wheelPrev.wheelNext = wheelNext
    else this.#heads[node.wheelSlot] = wheelNext
    node.wheelPrev = null
    node.wheelNext = null
    this.#armed--
  }

  #schedule(): void {
    this.#timer = this.#clock.setTimer(TICK_MS, () => this.#turn())
  }

  #turn(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    const target = Math.floor(now / TICK_MS)
    /* After a long stall one full turn visits every bucket. */
    let tick = Math.max(this.#tick + 1, target - BUCKETS + 1)
    for (; tick <= target && this.#armed > 0; tick++) {
      this.#tick = tick
      this.#fire(tick % BUCKETS, now)
    }
    this.#tick = Math.max(this.#tick, target)
    if (this.#armed > 0 && this.#timer === undefined) this.#schedule()
  }

  #fire(slot: number, now: number): void {
    let due: WheelNode[] | undefined
    let node = this.#heads[slot]!
    while (node !== null) {
      const next: WheelNode | null = node.wheelNext
      if (node.deadlineAt <= now) {
        this.#unlink(node)
        node.wheelSlot = DUE
        due ??= []
        due.push(node)
      }
      node = next!
    }
    if (due === undefined) return
    for (const ripe of due) {
      if (ripe.wheelSlot !== DUE) continue
      ripe.wheelSlot = NOT_ARMED
      try {
        ripe.onDeadline()
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
