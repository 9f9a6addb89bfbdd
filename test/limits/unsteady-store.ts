import { WeirError } from '../../src/core/errors.ts'
import type { LimitStore } from '../../src/proxy/limits/limit-store.ts'
import { MemoryLimitStore } from './memory-limit-store.ts'

/** A real store whose answers come a turn later, fail, or are held back. */
export class UnsteadyStore implements LimitStore {
  inner = new MemoryLimitStore()
  settles = 0
  #mode: 'steady' | 'failing' | 'stalled' = 'steady'
  #held: (() => void)[] = []
  #tellReplaced = (): void => {}

  /** Answers held back are given once it is no longer `stalled`. */
  set mode(mode: 'steady' | 'failing' | 'stalled') {
    this.#mode = mode
    if (mode === 'stalled') return
    for (const letGo of this.#held) letGo()
    this.#held = []
  }

  whenReplaced(listener: () => void): void {
    this.#tellReplaced = listener
  }

  /** Everything that was stored is gone. */
  forget(): void {
    this.inner = new MemoryLimitStore()
    this.#tellReplaced()
  }

  async settle(...args: Parameters<LimitStore['settle']>): ReturnType<LimitStore['settle']> {
    this.settles++
    await this.#turn()
    return await this.inner.settle(...args)
  }

  async changeBan(...args: Parameters<LimitStore['changeBan']>): ReturnType<LimitStore['changeBan']> {
    await this.#turn()
    return await this.inner.changeBan(...args)
  }

  async bansSince(revision: number): ReturnType<LimitStore['bansSince']> {
    await this.#turn()
    return await this.inner.bansSince(revision)
  }

  async banHistory(...args: Parameters<LimitStore['banHistory']>): ReturnType<LimitStore['banHistory']> {
    await this.#turn()
    return await this.inner.banHistory(...args)
  }

  async expireIdle(nowMs: number): ReturnType<LimitStore['expireIdle']> {
    await this.#turn()
    return await this.inner.expireIdle(nowMs)
  }

  async look(...args: Parameters<LimitStore['look']>): ReturnType<LimitStore['look']> {
    await this.#turn()
    return await this.inner.look(...args)
  }

  async lookAfter(...args: Parameters<LimitStore['lookAfter']>): ReturnType<LimitStore['lookAfter']> {
    await this.#turn()
    return await this.inner.lookAfter(...args)
  }

  #turn(): Promise<void> {
    switch (this.#mode) {
      case 'steady':
        return Promise.resolve()
      case 'failing':
        return Promise.reject(new WeirError('STORAGE', 'the disk is gone'))
      case 'stalled':
        return new Promise((resolve) => this.#held.push(resolve))
    }
  }
}
