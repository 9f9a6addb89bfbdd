import type { Probe } from '../../core/probe.ts'

/** Why the last dial of each agent failed, until one succeeds: what an operator asks first of an absent agent. */
export class DialFailures {
  /** Agents are configured names, so there are never many. */
  readonly #reasons = new Map<string, string>()

  readonly probe: Probe = {
    dialFailed: (agent, endpoint, reason) => void this.#reasons.set(agent, `dial of ${endpoint}: ${reason}`),
    connectionOpened: (agent) => void this.#reasons.delete(agent),
  }

  of(agent: string): string | undefined {
    return this.#reasons.get(agent)
  }

  forget(agent: string): void {
    this.#reasons.delete(agent)
  }
}
