import { WeirError } from '../core/errors.ts'

export interface AdminRequest {
  /** Decoded path parameters, by name. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** Who asks, for the audit trail: the peer's address, or `socket`. */
  readonly peer: string
  /** Parsed JSON body; undefined when there is none. @throws WeirError INVALID_ARGUMENT, TOO_LARGE */
  body(): Promise<unknown>
}

export type AdminAnswer =
  | { readonly status?: number; readonly json: unknown }
  | { readonly status?: number; readonly text: string; readonly contentType: string }

export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Segments that begin with `:` are parameters. */
  readonly path: string
  answer(request: AdminRequest): AdminAnswer | Promise<AdminAnswer>
}

/**
 * Finds the route of a request.
 * @throws WeirError NOT_FOUND for an unknown path, INVALID_ARGUMENT for a known one with another method
 */
export function findRoute(
  routes: readonly AdminRoute[],
  method: string,
  path: string,
): { readonly route: AdminRoute; readonly params: Readonly<Record<string, string>> } {
  let methods = ''
  for (const route of routes) {
    const params = matchPath(route.path, path)
    if (params === undefined) continue
    if (route.method === method || (method === 'HEAD' && route.method === 'GET')) return { route, params }
    methods += `${methods === '' ? '' : ', '}${route.method}`
  }
  if (methods !== '') throw new WeirError('INVALID_ARGUMENT', `${path} takes ${methods}, not ${method}`)
  throw new WeirError('NOT_FOUND', `the admin API has no ${path}`)
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, segment] of wanted.entries()) {
    const value = given[index] ?? ''
    if (!segment.startsWith(':')) {
      if (segment !== value) return undefined
      continue
    }
    try {
      params[segment.slice(1)] = decodeURIComponent(value)
    } catch {
      return undefined
    }
  }
  return params
}
