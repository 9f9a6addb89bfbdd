import type { AgentLink } from './agent-link.ts'

/** The live links of one listener. */
export class AgentLinks {
  readonly #live = new Set<AgentLink>()

  add(link: AgentLink): void {
    this.#live.add(link)
    void link.gone.then(() => this.#live.delete(link))
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#live].map((link) => link.close()))
  }
}
