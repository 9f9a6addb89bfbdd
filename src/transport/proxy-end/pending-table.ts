import { slotOf } from '../../core/correlation-id.ts'
import { WeirError } from '../../core/errors.ts'
import type { PendingReply } from '../connection.ts'

const INITIAL_SLOTS = 16
const MAX_SLOTS = 4096
/** Ids whose late replies are still awaited; older ones are forgotten first. */
const MAX_OWED = 1024

/* Of the process, as what is held back for a shared write is: both go by turns of the event loop, and there is one. */
let waitingInAll = 0

/** Events that wait for their replies on all connections of this process. */
export function eventsWaiting(): number {
  return waitingInAll
}

/**
 * The events of one connection that wait for their replies, by correlation id. Replies carry no other mark, so
 * events of one id are answered first in, first out.
 *
 * Our own ids name a slot (see core/correlation-id.ts), which makes the common case one array access and one
 * string comparison. Foreign ids and collisions go to a map. An id sits in one of the two places, never in both.
 */
export class PendingTable {
  #slots: (PendingReply | null)[] = new Array<PendingReply | null>(INITIAL_SLOTS).fill(null)
  #mask = INITIAL_SLOTS - 1
  #overflow: Map<string, PendingReply> | undefined
  /** Abandoned events per id whose replies may still come, when nothing else of that id waits. */
  #owed: Map<string, number> | undefined
  #size = 0
  /** Marks of abandoned events among those that wait. */
  #marks = 0

  /** Events that wait; abandoned ones do not count. */
  get size(): number {
    return this.#size
  }

  /** Nothing waits, and no late reply is due: a new table would do as well. */
  get isBlank(): boolean {
    return this.#size === 0 && this.#marks === 0 && this.#owed === undefined
  }

  get slotCount(): number {
    return this.#slots.length
  }

  /**
   * @throws WeirError CONFLICT (`sent: false`) when a late reply of an abandoned event of this id may still come:
   *   it could not be told from this event's reply.
   */
  insert(pending: PendingReply): void {
    const id = pending.correlationId
    if (this.#owed?.has(id) === true) throw staleIdError(id)
    pending.nextSameId = null
    const slot = slotOf(id)
    if (slot < 0) {
      this.#insertOverflow(id, pending)
    } else {
      const index = slot & this.#mask
      const head = this.#slots[index]!
      if (head === null && this.#overflow === undefined) this.#slots[index] = pending
      else if (head !== null && head.correlationId === id) append(head, pending)
      else if (head !== null || this.#overflow!.has(id)) this.#collide(slot, head, id, pending)
      else this.#slots[index] = pending
    }
    this.#size++
    waitingInAll++
  }

  /** Takes out the event that a reply of this id answers: the oldest. Undefined: nobody waits, a stray. */
  take(id: string): PendingReply | undefined {
    const slot = slotOf(id)
    if (slot >= 0) {
      const index = slot & this.#mask
      const head = this.#slots[index]!
      if (head !== null && head.correlationId === id) {
        this.#slots[index] = head.nextSameId
        return this.#taken(head)
      }
    }
    const head = this.#overflow?.get(id)
    if (head !== undefined) {
      this.#setOverflow(id, head.nextSameId)
      return this.#taken(head)
    }
    if (this.#owed !== undefined) this.#settleOwed(id)
    return undefined
  }

  /**
   * Forgets an event; its late reply is a stray and is never given to another event of the same id. Returns
   * false when it does not wait here.
   */
  abandon(pending: PendingReply): boolean {
    const id = pending.correlationId
    const head = this.#head(id)
    if (head === null) return false
    let previous: PendingReply | null = null
    let node: PendingReply | null = head
    while (node !== null && node !== pending) {
      previous = node
      node = node.nextSameId
    }
    if (node === null) return false
    /* A mark keeps its place, because the replies of one id come in the order of its events. */
    const mark = new AbandonedReply(id, pending.nextSameId)
    pending.nextSameId = null
    this.#marks++
    if (previous === null) this.#setHead(id, mark)
    else previous.nextSameId = mark
    this.#size--
    waitingInAll--
    this.#settleMarks(id)
    return true
  }

  /** Takes back the youngest event of its id, which was inserted but never sent: no reply will come. */
  retract(pending: PendingReply): void {
    const id = pending.correlationId
    const head = this.#head(id)
    if (head === pending) this.#setHead(id, null)
    else {
      let node = head
      while (node !== null && node.nextSameId !== pending) node = node.nextSameId
      if (node === null) return
      node.nextSameId = null
    }
    this.#size--
    waitingInAll--
  }

  /** Takes out everything that waits, oldest first within an id. */
  drain(): PendingReply[] {
    const drained: PendingReply[] = []
    for (const head of this.#slots) collect(head, drained)
    for (const head of this.#overflow?.values() ?? []) collect(head, drained)
    this.#slots = new Array<PendingReply | null>(INITIAL_SLOTS).fill(null)
    this.#mask = INITIAL_SLOTS - 1
    this.#overflow = undefined
    this.#owed = undefined
    waitingInAll -= this.#size
    this.#size = 0
    this.#marks = 0
    return drained
  }

  #taken(head: PendingReply): PendingReply | undefined {
    head.nextSameId = null
    if (this.#marks > 0 && head instanceof AbandonedReply) {
      this.#marks--
      return undefined
    }
    this.#size--
    waitingInAll--
    return head
  }

  #insertOverflow(id: string, pending: PendingReply): void {
    this.#overflow ??= new Map()
    const head = this.#overflow.get(id)
    if (head === undefined) this.#overflow.set(id, pending)
    else append(head, pending)
  }

  /** Two ids want one slot: widen the table while it is crowded, else use the map. */
  #collide(slot: number, head: PendingReply | null, id: string, pending: PendingReply): void {
    if (this.#overflow?.has(id) !== true && head !== null) {
      const other = slotOf(head.correlationId)
      while (this.#slots.length < MAX_SLOTS && this.#size * 8 >= this.#slots.length) {
        this.#widen()
        if ((slot & this.#mask) !== (other & this.#mask)) {
          const index = slot & this.#mask
          if (this.#slots[index] !== null) break
          this.#slots[index] = pending
          return
        }
      }
    }
    this.#insertOverflow(id, pending)
  }

  /** Ids that sit in different slots stay in different slots when the table doubles. */
  #widen(): void {
    const old = this.#slots
    const slots = new Array<PendingReply | null>(old.length * 2).fill(null)
    this.#mask = slots.length - 1
    for (const head of old) if (head !== null) slots[slotOf(head.correlationId) & this.#mask] = head
    this.#slots = slots
  }

  #head(id: string): PendingReply | null {
    const slot = slotOf(id)
    if (slot >= 0) {
      const head = this.#slots[slot & this.#mask]!
      if (head !== null && head.correlationId === id) return head
    }
    return this.#overflow?.get(id) ?? null
  }

  #setHead(id: string, head: PendingReply | null): void {
    const slot = slotOf(id)
    const index = slot & this.#mask
    if (slot >= 0 && this.#slots[index]?.correlationId === id) this.#slots[index] = head
    else this.#setOverflow(id, head)
  }

  #setOverflow(id: string, head: PendingReply | null): void {
    if (head !== null) this.#overflow!.set(id, head)
    else {
      this.#overflow!.delete(id)
      if (this.#overflow!.size === 0) this.#overflow = undefined
    }
  }

  /** When only marks are left of an id, they move from the table to the bounded memory of owed replies. */
  #settleMarks(id: string): void {
    let marks = 0
    for (let node = this.#head(id); node !== null; node = node.nextSameId) {
      if (!(node instanceof AbandonedReply)) return
      marks++
    }
    this.#setHead(id, null)
    this.#marks -= marks
    this.#owed ??= new Map()
    this.#owed.set(id, marks)
    if (this.#owed.size > MAX_OWED) {
      const [oldest] = this.#owed.keys()
      this.#owed.delete(oldest!)
    }
  }

  #settleOwed(id: string): void {
    const owed = this.#owed!.get(id)
    if (owed === undefined) return
    if (owed > 1) this.#owed!.set(id, owed - 1)
    else this.#owed!.delete(id)
    if (this.#owed!.size === 0) this.#owed = undefined
  }
}

/** Stands in for an abandoned event while younger ones of its id wait. */
class AbandonedReply implements PendingReply {
  readonly correlationId: string
  nextSameId: PendingReply | null

  constructor(correlationId: string, nextSameId: PendingReply | null) {
    this.correlationId = correlationId
    this.nextSameId = nextSameId
  }

  onReply(): void {}

  onLost(): void {}
}

function append(head: PendingReply, pending: PendingReply): void {
  let last = head
  for (;;) {
    if (last instanceof AbandonedReply) throw staleIdError(pending.correlationId)
    if (last.nextSameId === null) break
    last = last.nextSameId
  }
  last.nextSameId = pending
}

function collect(head: PendingReply | null, into: PendingReply[]): void {
  let node = head
  while (node !== null) {
    const next: PendingReply | null = node.nextSameId
    node.nextSameId = null
    if (!(node instanceof AbandonedReply)) into.push(node)
    node = next
  }
}

function staleIdError(id: string): WeirError {
  return new WeirError(
    'CONFLICT',
    `event of ${id} not sent: the reply of an abandoned event of this request is still due on this connection`,
    { sent: false },
  )
}
