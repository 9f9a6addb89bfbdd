import type { ChainSource } from '../../frontend/agent-protocol/chain-choice.ts'
import { type HttpRoute, type RouteMatch, RouteTable } from '../../frontend/http/route-table.ts'
import type { ChainAgent } from '../../proxy/agent-policy.ts'
import { AgentChain, type Chain } from '../../proxy/chain.ts'
import type { RouteConfig } from '../config/config.ts'

interface PlacedChain extends RouteMatch {
  readonly chain: Chain
}

/** The routes in force, as each front end asks for them. Replaced as a whole at a reload. */
export class RouteBook {
  readonly chains: readonly AgentChain[]
  readonly http: readonly HttpRoute[]
  readonly #byName: ReadonlyMap<string, Chain>
  readonly #table: RouteTable<PlacedChain>
  readonly fallback: Chain | undefined

  /** @throws WeirError INVALID_ARGUMENT for a pattern that cannot match, or two routes that cannot be told apart */
  constructor(routes: readonly RouteConfig[], chainAgent: (name: string) => ChainAgent) {
    const byName = new Map<string, AgentChain>()
    const placed: PlacedChain[] = []
    const http: HttpRoute[] = []
    let fallback: Chain | undefined
    for (const { name, host, path, upstream, agents, parallel } of routes) {
      const chain = new AgentChain(name, agents.map(chainAgent), parallel)
      byName.set(name, chain)
      placed.push({ name, host, path, chain })
      if (host === undefined && path === '/*') fallback = chain
      if (upstream !== undefined) http.push({ name, host, path, upstream, chain })
    }
    this.chains = [...byName.values()]
    this.http = http
    this.#byName = byName
    this.#table = new RouteTable(placed)
    this.fallback = fallback
  }

  /** No request that began on these routes is open any more. */
  get isUnused(): boolean {
    return this.chains.every((chain) => chain.openRequests === 0)
  }

  named(name: string): Chain | undefined {
    return this.#byName.get(name)
  }

  forRequest(host: string, path: string): Chain | undefined {
    return this.#table.match(host, path)?.chain
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
    forRequest: (host, path) => book().forRequest(host, path),
  }
}
