import type { Probe } from '../../core/probe.ts'

/** What is noted of one agent beside its pool. Plain data. */
export interface AgentNote {
  /** Why the last dial failed; undefined: none did since the last connection. */
  readonly dialFailure: string | undefined
  /** Events that were refused because of it, by error code. */
  readonly denials: Readonly<Record<string, number>>
}

interface Note extends AgentNote {
  dialFailure: string | undefined
  readonly denials: Record<string, number>
}

const NOTHING: AgentNote = { dialFailure: undefined, denials: {} }

/**
 * What an operator asks first of an agent that is not used: why it cannot be dialed, and what its absence denied.
 * Pools come and go with reloads; these notes stay as long as the agent is configured.
 */
export class AgentNotes {
  readonly #notes = new Map<string, Note>()

  readonly probe: Probe = {
    agentCall: ({ agent, outcome, isDenied }) => {
      if (!isDenied) return
      const { denials } = this.#note(agent)
      denials[outcome] = (denials[outcome] ?? 0) + 1
    },
    dialFailed: (agent, endpoint, reason) => {
      /* Most reasons name the place themselves. */
      this.#note(agent).dialFailure = reason.includes(endpoint) ? reason : `${endpoint}: ${reason}`
    },
    connectionOpened: (agent) => {
      const note = this.#notes.get(agent)
      if (note !== undefined) note.dialFailure = undefined
    },
  }

  of(agent: string): AgentNote {
    return this.#notes.get(agent) ?? NOTHING
  }

  forget(agent: string): void {
    this.#notes.delete(agent)
  }

  /** Agents are configured names, so there are never many. */
  #note(agent: string): Note {
    let note = this.#notes.get(agent)
    if (note === undefined) {
      note = { dialFailure: undefined, denials: {} }
      this.#notes.set(agent, note)
    }
    return note
  }
}
