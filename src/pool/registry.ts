import type { Clock, TimerHandle } from '../core/clock.ts'
import { WeirError } from '../core/errors.ts'
import { Agenda } from './agenda.ts'
import type { ManagedPool } from './managed-pool.ts'
import type { PoolSnapshot } from './pool-snapshot.ts'

/** How often the shared timer looks for pools that are due, milliseconds. */
const TICK_MS = 1000

/**
 * All agents by name, and the one timer that brings time to them. A pool is visited when it says so, and says when
 * that comes nearer, hence an idle agent costs nothing between its visits.
 */
export class Registry {
  readonly #clock: Clock
  readonly #pools = new Map<string, ManagedPool>()
  readonly #agenda: Agenda
  readonly #leaving = new Set<Promise<void>>()
  readonly #onError: (error: unknown) => void
  #timer: TimerHandle | undefined
  #drained: Promise<void> | undefined

  /** `onError` gets what a visit throws; the other pools are still visited. */
  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock
    this.#agenda = new Agenda(clock.now())
    this.#onError = onError
  }

  get size(): number {
    return this.#pools.size
  }

  get(agent: string): ManagedPool | undefined {
    return this.#pools.get(agent)
  }

  [Symbol.iterator](): IterableIterator<ManagedPool> {
    return this.#pools.values()
  }

  /**
   * Adds an agent and starts its pool. An unreachable agent is no error: it is there, without connections.
   * @throws WeirError CONFLICT when the name is taken, DRAINING after {@link drain}.
   */
  add(pool: ManagedPool): void {
    this.#refuseWhenDraining()
    if (this.#pools.has(pool.agent)) {
      const message = `agent ${pool.agent} exists already; remove or replace it`
      throw new WeirError('CONFLICT', message, { sent: false })
    }
    this.#enter(pool)
  }

  /**
   * Puts a started or new pool in the place of its namesake, which finishes its work until `deadlineAt` and is
   * closed. Resolves when the old one is gone. Await `whenReady` of the new one first to switch without a gap.
   */
  async replace(pool: ManagedPool, deadlineAt: number): Promise<void> {
    this.#refuseWhenDraining()
    const old = this.#pools.get(pool.agent)
    if (old === pool) return
    this.#enter(pool)
    if (old !== undefined) await this.#leave(old, deadlineAt)
  }

  /**
   * Puts a started or new pool in the place of its namesake, or takes an agent out, and leaves what was there as it
   * is: the caller drains it, once nothing uses it any more.
   * @throws WeirError DRAINING after {@link drain}
   */
  swap(agent: string, pool: ManagedPool | undefined): ManagedPool | undefined {
    this.#refuseWhenDraining()
    const old = this.#pools.get(agent)
    if (pool === undefined) this.#pools.delete(agent)
    else this.#enter(pool)
    return old
  }

  /** Takes an agent out, then lets it finish until `deadlineAt`. @throws WeirError NOT_FOUND */
  async remove(agent: string, deadlineAt: number): Promise<void> {
    const pool = this.#pools.get(agent)
    if (pool === undefined) throw new WeirError('NOT_FOUND', `no agent is named ${agent}`, { sent: false })
    this.#pools.delete(agent)
    await this.#leave(pool, deadlineAt)
  }

  snapshot(): readonly PoolSnapshot[] {
    return Array.from(this.#pools.values(), (pool) => pool.snapshot())
  }

  /** Drains every pool, all at once, under one deadline. Twice: the same promise. */
  drain(deadlineAt: number): Promise<void> {
    if (this.#drained !== undefined) return this.#drained
    const draining = Array.from(this.#pools.values(), (pool) => pool.drain(deadlineAt))
    this.#drained = Promise.all([...draining, ...this.#leaving]).then(() => {
      this.#timer?.cancel()
      this.#timer = undefined
    })
    return this.#drained
  }

  #enter(pool: ManagedPool): void {
    this.#pools.set(pool.agent, pool)
    /* By name: what its predecessor learns while it drains concerns the breaker and the sessions that both share. */
    pool.watch(this.#summon)
    pool.start()
    this.#agenda.addSoon(pool.agent)
    this.#schedule()
  }

  readonly #summon = (agent: string): void => this.#agenda.addSoon(agent)

  #refuseWhenDraining(): void {
    if (this.#drained === undefined) return
    throw new WeirError('DRAINING', 'the registry is draining', { sent: false })
  }

  async #leave(pool: ManagedPool, deadlineAt: number): Promise<void> {
    const leaving = pool.drain(deadlineAt)
    this.#leaving.add(leaving)
    await leaving
    this.#leaving.delete(leaving)
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#pools.size === 0) return
    this.#timer = this.#clock.setTimer(TICK_MS, () => this.#tick())
  }

  #tick(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    for (const agent of this.#agenda.take(now)) {
      const pool = this.#pools.get(agent)
      if (pool === undefined) continue
      this.#visit(pool, now)
      this.#agenda.add(agent, pool.visitAt)
    }
    if (this.#drained === undefined) this.#schedule()
  }

  #visit(pool: ManagedPool, now: number): void {
    if (pool.visitAt > now) return
    try {
      pool.visit(now)
    } catch (error) {
      this.#onError(error)
    }
  }
}
