import type { BypassReason, Probe } from '../../core/probe.ts'

/** What is noted of one agent beside its pool. Plain data. */
export interface AgentNote {
  /** Why the last dial failed; undefined: none did since the last connection. */
  readonly dialFailure: string | undefined
  /** How often it was passed over, or its failure let pass, since the start. */
  readonly bypasses: Readonly<Partial<Record<BypassReason, number>>>
}

interface Note extends AgentNote {
  dialFailure: string | undefined
  readonly bypasses: Partial<Record<BypassReason, number>>
}

const NOTHING: AgentNote = { dialFailure: undefined, bypasses: {} }

/**
 * What an operator asks first of an agent that is not used: why it cannot be dialed, and for what it was passed over.
 * Pools come and go with reloads; these notes stay as long as the agent is configured.
 */
export class AgentNotes {
  readonly #notes = new Map<string, Note>()

  readonly probe: Probe = {
    dialFailed: (agent, endpoint, reason) => {
      /* Most reasons name the place themselves. */
      this.#note(agent).dialFailure = reason.includes(endpoint) ? reason : `${endpoint}: ${reason}`
    },
    connectionOpened: (agent) => {
      const note = this.#notes.get(agent)
      if (note !== undefined) note.dialFailure = undefined
    },
    bypass: (agent, _, reason) => {
      const { bypasses } = this.#note(agent)
      bypasses[reason] = (bypasses[reason] ?? 0) + 1
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
      note = { dialFailure: undefined, bypasses: {} }
      this.#notes.set(agent, note)
    }
    return note
  }
}
