import { EjectionGroup } from '../policy/health/ejection-group.ts'
import { Health } from '../policy/health/health.ts'
import { type HealthSettings, healthSettings } from '../policy/health/health-options.ts'
import type { Connection } from '../transport/connection.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import { LiveConnection } from './live-connection.ts'
import type { Incarnation } from './managed-pool.ts'
import type { Origin, Terms } from './origin.ts'
import { type PoolSettings, type PoolSurroundings, RETIRE_JITTER } from './pool-options.ts'
import type { Roster } from './roster.ts'
import type { Slot } from './slot.ts'

/**
 * How a connection comes into the pool: it gets its limits, its health and its place in the roster in one turn, so
 * none is ever picked that nobody watches.
 */
export class Admission {
  #settings: PoolSettings
  readonly #around: PoolSurroundings
  #healthSettings: HealthSettings
  readonly #group: EjectionGroup
  #terms: Terms
  /** Of every connection whose agent does not tell who it is; a copy each would weigh, as there may be thousands. */
  #dialedIn: Origin
  readonly #owner: ConnectionOwner
  readonly #roster: Roster

  constructor(settings: PoolSettings, around: PoolSurroundings, owner: ConnectionOwner, roster: Roster) {
    this.#settings = settings
    this.#around = around
    this.#healthSettings = healthSettings(settings.health)
    this.#group = new EjectionGroup(settings.maxEjectedShare)
    this.#terms = termsOf(settings)
    this.#dialedIn = { slot: undefined, incarnation: undefined, terms: this.#terms }
    this.#owner = owner
    this.#roster = roster
  }

  /** Takes in what a slot dialled; age and use limits are shortened at random, each connection by its own draw. */
  dialed(connection: Connection, slot: Slot): LiveConnection {
    const { random, clock } = this.#around
    const { maxConnectionAgeMs, maxConnectionUses } = this.#settings
    const shortened = (limit: number): number => limit * (1 - RETIRE_JITTER * random())
    return this.#admit(connection, {
      slot,
      incarnation: undefined,
      terms: {
        ...this.#terms,
        retireAt: clock.now() + shortened(maxConnectionAgeMs),
        maxUses: shortened(maxConnectionUses),
      },
    })
  }

  /** Takes in what an agent made; how long it stays is the agent's to say. `isHeld`: nothing goes there yet. */
  adopted(connection: Connection, incarnation: Incarnation | undefined, isHeld: boolean): LiveConnection {
    return this.#admit(connection, this.#originOf(incarnation), isHeld)
  }

  /** Other settings for the connections that agents made, those that are here and those that will come. */
  retune(settings: PoolSettings): void {
    this.#settings = settings
    this.#healthSettings = healthSettings(settings.health)
    this.#group.maxShare = settings.maxEjectedShare
    this.#terms = termsOf(settings)
    this.#dialedIn = { slot: undefined, incarnation: undefined, terms: this.#terms }
    for (const live of this.#roster.all) {
      live.retune(this.#originOf(live.origin.incarnation))
      live.health.retune(this.#healthSettings)
    }
  }

  #originOf(incarnation: Incarnation | undefined): Origin {
    if (incarnation === undefined) return this.#dialedIn
    return { slot: undefined, incarnation, terms: this.#terms }
  }

  #admit(connection: Connection, origin: Origin, isHeld = false): LiveConnection {
    const { random, clock, probe } = this.#around
    const now = clock.now()
    this.#owner.now = now
    const health = new Health(this.#healthSettings, this.#group, random, now)
    const live = new LiveConnection(this.#owner, connection, origin, health, isHeld)
    connection.observe(live)
    this.#roster.add(live)
    probe.connectionOpened?.(live.agent, live.id, connection.transport, connection.peer)
    return live
  }
}

/** What is asked of a connection that an agent made: how long it stays is not ours to say. */
function termsOf({ maxConcurrentPerConnection: maxInFlight, slowStartMs, heartbeatMs }: PoolSettings): Terms {
  const never = Number.POSITIVE_INFINITY
  return { maxInFlight, slowStartMs, heartbeatMs, retireAt: never, maxUses: never }
}
