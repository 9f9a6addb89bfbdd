import { WeirError } from '../../core/errors.ts'
import type { Chain } from '../../proxy/chain.ts'

/** Which requests a route is for. */
export interface RouteMatch {
  /** In logs and metrics, and told to agents. */
  readonly name: string
  /** `shop.example.com`, or `*.example.com` for every name below; absent: any host. */
  readonly host?: string | undefined
  /**
   * `/exact`; `/api/*` for `/api` and everything below it; `*` elsewhere stands for anything but a slash.
   */
  readonly path: string
}

/** Which requests go where, past which agents. */
export interface HttpRoute extends RouteMatch {
  /** Origin: `http://127.0.0.1:3000` or `https://...`, without a path. */
  readonly upstream: string
  readonly chain: Chain
}

interface Compiled<Target> {
  readonly target: Target
  readonly host: string | undefined
  readonly hostSuffix: string | undefined
  readonly exact: string | undefined
  /** `/api/` for `/api/*`. */
  readonly prefix: string | undefined
  /** `/api` for `/api/*`. */
  readonly folder: string | undefined
  readonly pattern: RegExp | undefined
  readonly literalLength: number
}

/**
 * Routes compiled once. A route with a host comes before one without, then the one with the longer literal
 * text in its path, an exact path before a pattern.
 */
export class RouteTable<Target extends RouteMatch> {
  readonly #routes: readonly Compiled<Target>[]

  /** Throws INVALID_ARGUMENT for a pattern that cannot match, or for two routes that match the same. */
  constructor(targets: readonly Target[]) {
    const seen = new Map<string, string>()
    for (const { name, host, path } of targets) {
      const key = `${host?.toLowerCase() ?? '*'} ${path}`
      const other = seen.get(key)
      if (other !== undefined) {
        throw new WeirError('INVALID_ARGUMENT', `routes "${other}" and "${name}" match the same: ${key}`)
      }
      seen.set(key, name)
    }
    this.#routes = targets.map(compile).sort(moreSpecificFirst)
  }

  get targets(): readonly Target[] {
    return this.#routes.map((route) => route.target)
  }

  /** The route of a host (lower case, without port) and a path without query. */
  match(host: string, path: string): Target | undefined {
    for (const route of this.#routes) {
      if (route.host !== undefined && route.host !== host) continue
      if (route.hostSuffix !== undefined && !isBelow(host, route.hostSuffix)) continue
      if (matchesPath(route, path)) return route.target
    }
    return undefined
  }
}

function matchesPath(route: Compiled<RouteMatch>, path: string): boolean {
  if (route.prefix !== undefined) return path.startsWith(route.prefix) || path === route.folder
  return route.exact !== undefined ? route.exact === path : route.pattern!.test(path)
}

function isBelow(host: string, suffix: string): boolean {
  return host.length > suffix.length && host.endsWith(suffix)
}

function compile<Target extends RouteMatch>(target: Target): Compiled<Target> {
  const { name, path } = target
  if (!path.startsWith('/')) {
    throw new WeirError('INVALID_ARGUMENT', `route "${name}": path "${path}" must start with "/"`)
  }
  if (/[?#]/.test(path)) {
    throw new WeirError('INVALID_ARGUMENT', `route "${name}": path "${path}" must not hold a query`)
  }
  const host = target.host?.toLowerCase()
  if (host !== undefined && (host === '' || host.lastIndexOf('*') > 0 || /^\*(?!\.)/.test(host))) {
    throw new WeirError('INVALID_ARGUMENT', `route "${name}": host "${host}" is not a name or "*.name"`)
  }
  const isWildcard = host?.startsWith('*.') === true
  const firstStar = path.indexOf('*')
  const isPrefix = firstStar >= 0 && firstStar === path.length - 1 && path.endsWith('/*')
  return {
    target,
    host: isWildcard ? undefined : host,
    hostSuffix: isWildcard ? host.slice(1) : undefined,
    exact: firstStar < 0 ? path : undefined,
    prefix: isPrefix ? path.slice(0, -1) : undefined,
    folder: isPrefix ? path.slice(0, -2) : undefined,
    pattern: firstStar < 0 || isPrefix ? undefined : toPattern(path),
    literalLength: path.replaceAll('*', '').length,
  }
}

function toPattern(path: string): RegExp {
  const below = path.endsWith('/*')
  const parts = (below ? path.slice(0, -2) : path)
    .split('*')
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^/]*')}${below ? '(?:/.*)?' : ''}$`, 's')
}

function moreSpecificFirst(a: Compiled<RouteMatch>, b: Compiled<RouteMatch>): number {
  return (
    hostRank(b) - hostRank(a) ||
    b.literalLength - a.literalLength ||
    Number(b.exact !== undefined) - Number(a.exact !== undefined)
  )
}

function hostRank(route: Compiled<RouteMatch>): number {
  if (route.host !== undefined) return 1000
  return route.hostSuffix?.length ?? 0
}
