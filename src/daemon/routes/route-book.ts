import type { ChainSource } from '../../frontend/agent-protocol/chain-choice.ts'
import type { HttpRoute } from '../../frontend/http/route-table.ts'
import type { ChainAgent } from '../../proxy/agent-policy.ts'
import { AgentChain, type Chain } from '../../proxy/chain.ts'
import type { RouteConfig } from '../config/config.ts'

/** The routes in force, as each front end asks for them. Replaced as a whole at a reload. */
export class RouteBook {
  readonly chains: readonly AgentChain[]
  readonly http: readonly HttpRoute[]
  readonly #byName: ReadonlyMap<string, Chain>
  readonly #byHost: ReadonlyMap<string, Chain>
  readonly fallback: Chain | undefined

  constructor(routes: readonly RouteConfig[], chainAgent: (name: string) => ChainAgent) {
    const byName = new Map<string, AgentChain>()
    const byHost = new Map<string, Chain>()
    const http: HttpRoute[] = []
    let fallback: Chain | undefined
    for (const { name, host, path, upstream, agents, parallel } of routes) {
      const chain = new AgentChain(name, agents.map(chainAgent), parallel)
      byName.set(name, chain)
      /* The agent protocol tells the host before the path; the widest route of a host stands for it. */
      if (host !== undefined && (path === '/*' || !byHost.has(host))) byHost.set(host, chain)
      if (host === undefined && path === '/*') fallback = chain
      if (upstream !== undefined) http.push({ name, host, path, upstream, chain })
    }
    this.chains = [...byName.values()]
    this.http = http
    this.#byName = byName
    this.#byHost = byHost
    this.fallback = fallback
  }

  /** No request that began on these routes is open any more. */
  get isUnused(): boolean {
    return this.chains.every((chain) => chain.openRequests === 0)
  }

  named(name: string): Chain | undefined {
    return this.#byName.get(name)
  }

  forHost(host: string): Chain | undefined {
    const exact = this.#byHost.get(host)
    if (exact !== undefined) return exact
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const chain = this.#byHost.get(`*${host.slice(dot)}`)
      if (chain !== undefined) return chain
    }
    return undefined
  }
}

/** A source of chains that always looks at the routes in force. */
export function liveChains(book: () => RouteBook): ChainSource {
  return {
    get all() {
      return book().chains
    },
    get fallback() {
      return book().fallback
    },
    named: (name) => book().named(name),
    forHost: (host) => book().forHost(host),
  }
}
