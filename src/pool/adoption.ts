import type { WeirError } from '../core/errors.ts'
import type { Probe } from '../core/probe.ts'
import type { Connection } from '../transport/connection.ts'
import type { Admission } from './admission.ts'
import { type ConfigPusher, canBeTold } from './config-push.ts'
import { adoptionRefusal, olderRuns } from './incarnation.ts'
import type { LiveConnection } from './live-connection.ts'
import type { AgentConfig, Incarnation } from './managed-pool.ts'
import type { Roster } from './roster.ts'

/** What the taking in of agents' own connections needs of its pool. */
export interface AdoptionHost {
  readonly agent: string
  readonly probe: Probe
  readonly roster: Roster
  readonly admission: Admission
  readonly pusher: ConfigPusher
  /** Most connections that may be in use. */
  readonly target: () => number
  /** The configuration in force. */
  readonly config: () => AgentConfig
  /** The connection is in the roster, and perhaps not in use yet. */
  onArrived(live: LiveConnection): void
  /** The connection may be used. */
  onReady(live: LiveConnection): void
  retire(live: LiveConnection): void
}

/**
 * Takes in the connections that an agent makes. One that announced that it takes configurations gets no event before it
 * acknowledged its own, or was silent for five seconds: the protocol promises us no answer there. Any other agent is
 * sent its configuration too, ahead of the first event, and used at once.
 */
export class Adoption {
  readonly #host: AdoptionHost

  constructor(host: AdoptionHost) {
    this.#host = host
  }

  /** Why a connection cannot be taken now; undefined: it can. */
  refusal(incarnation: Incarnation | undefined): WeirError | undefined {
    const { agent, target, roster } = this.#host
    return adoptionRefusal(agent, target(), roster.all, incarnation)
  }

  adopt(connection: Connection, incarnation: Incarnation | undefined): void {
    const host = this.#host
    const { pusher } = host
    const setup = host.config()
    const isTold = setup.config !== undefined && connection.transport !== 'v1'
    const isHeld = isTold && canBeTold(connection)
    const live = host.admission.adopted(connection, incarnation, isHeld)
    host.onArrived(live)
    if (!isTold) {
      this.#enter(live, incarnation)
      return
    }
    pusher.deliverFirst(setup, live, (isAcknowledged) => {
      if (!isHeld || !live.enter()) return
      if (host.config() !== setup) pusher.push(host.config(), [live])
      if (!isAcknowledged) this.#noteSilence(live)
      this.#enter(live, incarnation)
    })
    if (!isHeld) this.#enter(live, incarnation)
  }

  #enter(live: LiveConnection, incarnation: Incarnation | undefined): void {
    const host = this.#host
    const { roster } = host
    roster.publish()
    for (const old of olderRuns(roster.all, incarnation)) host.retire(old)
    /* The pool may have been made smaller while the agent thought its configuration over. */
    if (roster.ready.length > host.target()) host.retire(live)
    host.onReady(live)
  }

  #noteSilence({ id }: LiveConnection): void {
    const { agent, probe } = this.#host
    const message = `agent ${agent} announced that it takes configurations and acknowledged none: it is used without`
    probe.notice?.('warn', message, { agent, connection: id })
  }
}
