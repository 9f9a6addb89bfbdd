import assert from 'node:assert/strict'
import { RETIRE_JITTER } from '../../../src/pool/pool-options.ts'
import type { FakeClock } from '../../support/fake-clock.ts'
import type { FakeDialer } from '../../support/fake-connection.ts'
import type { ModelConnection } from './world.ts'

/** What a schedule's pool was told about leaving. */
export interface DepartureRules {
  readonly maxAgeMs: number
  readonly maxUses: number
  readonly lingerMs: number
  readonly timeoutMs: number
}

/** Longest pause between two dials of one slot, milliseconds; with some slack. */
const LONGEST_PAUSE_MS = 2500

/**
 * Which connections leave, and whether they may: known from ages, uses and dials that the test itself brought about.
 * What the pool says of a connection's stage is only ever checked against this, never believed.
 */
export class Departures {
  readonly #rules: DepartureRules
  readonly #clock: FakeClock
  readonly #dialer: FakeDialer
  /** Connection -> instant it began to leave. */
  readonly #leaving = new Map<ModelConnection, number>()
  #drainedAt: number | undefined
  #drainDeadlineAt = Number.POSITIVE_INFINITY
  /** Connections with a higher id were made in this step. */
  #newestBefore = 0
  #dialsSucceedSince = 0

  constructor(rules: DepartureRules, clock: FakeClock, dialer: FakeDialer) {
    this.#rules = rules
    this.#clock = clock
    this.#dialer = dialer
  }

  drain(deadlineAt: number): void {
    this.#drainedAt ??= this.#clock.now()
    this.#drainDeadlineAt = Math.min(this.#drainDeadlineAt, deadlineAt)
  }

  /** Whether new requests must stay away. `stage` is the pool's word, undefined when it knows no such connection. */
  isLeaving(connection: ModelConnection, stage: string | undefined): boolean {
    const isKnown = this.#leaving.has(connection)
    if (stage === 'ready') {
      assert.ok(!isKnown, 'a connection that left came back')
      assert.equal(this.#drainedAt, undefined, 'a draining pool has a connection for new requests')
      return false
    }
    if (!isKnown) this.#begin(connection)
    return true
  }

  /** After every step, when all dials that can end have ended. */
  check(alive: readonly ModelConnection[], closed: readonly ModelConnection[], wasVisited: boolean): void {
    const now = this.#clock.now()
    for (const connection of closed) this.#assertMayClose(connection, now)
    for (const connection of alive) if (this.#leaving.has(connection)) this.#assertMayStay(connection, now)
    const mustAct = wasVisited && this.#drainedAt === undefined && this.#couldReplace(now)
    if (mustAct && alive.some((connection) => this.#isOverdue(connection, now)))
      assert.ok(
        alive.some((connection) => this.#leaving.has(connection)),
        'a connection is overdue, its successor could be made, and nothing leaves',
      )
    this.#newestBefore = Math.max(this.#newestBefore, ...this.#dialer.connections.map(({ id }) => id))
    if (this.#dialer.answer !== 'succeed' || this.#dialer.waiting.length > 0) this.#dialsSucceedSince = now
  }

  #begin(connection: ModelConnection): void {
    const now = this.#clock.now()
    this.#leaving.set(connection, now)
    connection.idleSince = Math.max(connection.idleSince, now)
    if (this.#drainedAt !== undefined) return
    assert.ok(this.#isDue(connection, now, 1 - RETIRE_JITTER), 'a connection left that was not due')
    const hasSuccessor = this.#dialer.alive.some(({ id }) => id > this.#newestBefore)
    assert.ok(hasSuccessor, 'a connection left before its successor was there')
    const others = [...this.#leaving.keys()].filter((one) => one !== connection && !one.fake.isClosed)
    assert.equal(others.length, 0, 'two connections leave at once')
  }

  #isDue({ bornAt, uses }: ModelConnection, now: number, share: number): boolean {
    return now - bornAt >= this.#rules.maxAgeMs * share || uses >= this.#rules.maxUses * share
  }

  #isOverdue(connection: ModelConnection, now: number): boolean {
    return !this.#leaving.has(connection) && this.#isDue(connection, now, 1)
  }

  #couldReplace(now: number): boolean {
    const { answer, waiting } = this.#dialer
    return answer === 'succeed' && waiting.length === 0 && now - this.#dialsSucceedSince > LONGEST_PAUSE_MS
  }

  #lingerMs(): number {
    return this.#drainedAt === undefined ? this.#rules.lingerMs : 0
  }

  #deadlineOf(connection: ModelConnection): number {
    return Math.min(this.#leaving.get(connection)! + this.#rules.timeoutMs, this.#drainDeadlineAt)
  }

  /** Closed by the pool, not by the test. */
  #assertMayClose(connection: ModelConnection, now: number): void {
    assert.ok(this.#leaving.has(connection) || this.#drainedAt !== undefined, 'a ready connection was closed')
    if (!this.#leaving.has(connection)) this.#begin(connection)
    if (now >= this.#deadlineOf(connection)) return
    assert.equal(connection.inFlight, 0, 'a connection was closed with events in flight, before its deadline')
    assert.ok(
      now - connection.idleSince >= this.#lingerMs(),
      'a connection was closed before it had lingered',
    )
  }

  #assertMayStay(connection: ModelConnection, now: number): void {
    assert.ok(now < this.#deadlineOf(connection), 'a leaving connection outlived its deadline')
    const isIdle = connection.inFlight === 0 && now - connection.idleSince >= this.#lingerMs()
    assert.ok(!isIdle, 'a leaving connection stays although nobody needs it')
  }
}
