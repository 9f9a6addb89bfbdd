import { Slot, type SlotHost } from './slot.ts'

/** Least time between two dials out of turn, milliseconds: the rate at which an agent that is down is bothered. */
const HASTEN_MS = 1000

/**
 * Holds a pool at its target size: one slot per connection, all dialling in parallel. One more slot exists
 * while a connection that is due to retire is being replaced.
 */
export class Keeper {
  readonly #host: SlotHost
  #slots: Slot[] = []
  #replacement: { readonly old: Slot; readonly spare: Slot } | undefined
  #isStopped = false
  /** Clock milliseconds of the last dial out of turn. */
  #hastenedAt = Number.NEGATIVE_INFINITY

  /** `target`: connections to keep, >= 1. Dialling starts with {@link start}. */
  constructor(host: SlotHost, target: number) {
    this.#host = host
    for (let n = 0; n < target; n++) this.#slots.push(new Slot(host))
  }

  start(): void {
    for (const slot of this.#slots) slot.dial()
  }

  /**
   * A slot was filled: the endpoint answers, so the others dial at once, full width in one round. Their
   * backoff is not forgotten, so an endpoint that accepts and hangs up is still dialled ever more slowly.
   * Returns the slot whose connection the new one replaces.
   */
  filled(slot: Slot): Slot | undefined {
    for (const other of this.#slots) if (other.state === 'waiting') other.dial()
    if (this.#replacement?.spare !== slot) return undefined
    const { old } = this.#replacement
    this.#take(old, slot)
    return old
  }

  /**
   * A caller found no connection at all: one slot dials out of its turn, at most once per second. Pauses grow for as
   * long as an outage lasts, but once the agent is back its callers must not wait them out.
   */
  hasten(now: number): void {
    if (now - this.#hastenedAt < HASTEN_MS) return
    const slot = this.#slots.find(({ state }) => state === 'waiting')
    if (slot === undefined) return
    this.#hastenedAt = now
    slot.dial()
  }

  /** The connection of a slot died. */
  lost(slot: Slot): void {
    if (this.#isStopped) return
    if (this.#replacement?.old === slot) {
      this.#take(slot, this.#replacement.spare)
      return
    }
    if (this.#slots.includes(slot)) slot.lost()
  }

  /** Dials a successor of the slot's connection. False when another replacement is under way. */
  replace(slot: Slot): boolean {
    if (this.#isStopped || this.#replacement !== undefined || !this.#slots.includes(slot)) return false
    const spare = new Slot(this.#host)
    this.#replacement = { old: slot, spare }
    spare.dial()
    return true
  }

  /** Returns the slots that are no longer kept; their connections are the caller's to retire. */
  resize(target: number): readonly Slot[] {
    if (this.#isStopped) return []
    while (this.#slots.length < target) {
      const slot = new Slot(this.#host)
      this.#slots.push(slot)
      slot.dial()
    }
    if (this.#slots.length === target) return []
    this.#cancelReplacement()
    const byUse = [...this.#slots].sort((a, b) => Number(b.state === 'filled') - Number(a.state === 'filled'))
    this.#slots = byUse.slice(0, target)
    const dropped = byUse.slice(target)
    for (const slot of dropped) slot.stop()
    return dropped
  }

  /** Ends all dialling. */
  stop(): void {
    this.#isStopped = true
    this.#cancelReplacement()
    for (const slot of this.#slots) slot.stop()
  }

  #take(old: Slot, successor: Slot): void {
    this.#slots[this.#slots.indexOf(old)] = successor
    this.#replacement = undefined
    old.stop()
  }

  #cancelReplacement(): void {
    this.#replacement?.spare.stop()
    this.#replacement = undefined
  }
}
