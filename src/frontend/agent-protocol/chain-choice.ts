import { WeirError } from '../../core/errors.ts'
import type {
  AgentEvent,
  GuardrailInspectEvent,
  RequestHeadersEvent,
  WebSocketFrameEvent,
} from '../../core/event.ts'
import type { Chain } from '../../proxy/chain.ts'
import { headerOf } from '../../sdk/header-of.ts'
import type { ProxyLink } from '../../transport/proxy-link.ts'
import { hostWithoutPort, parseTarget } from '../http/request-target.ts'

/** The chains a proxy can ask for. Read for each request, so that a reload takes effect at once. */
export interface ChainSource {
  readonly all: readonly Chain[]
  /** By route name. */
  named(name: string): Chain | undefined
  /** The chain of the route that a host (lower case, without port) and a path without query match best. */
  forRequest(host: string, path: string): Chain | undefined
  /** For what comes without a host and a path, and nothing else places. */
  readonly fallback: Chain | undefined
}

/** Stream metadata by which a proxy names a chain for everything it sends on the stream. */
export const CHAIN_METADATA = 'weir-chain'

/** Events that can be the first of their request, because they tell where it belongs. */
export type OpeningEvent = RequestHeadersEvent | WebSocketFrameEvent | GuardrailInspectEvent

export function isOpening(event: AgentEvent): event is OpeningEvent {
  return (
    event.kind === 'request-headers' || event.kind === 'websocket-frame' || event.kind === 'guardrail-inspect'
  )
}

/**
 * The chain for a request: what the stream's metadata names, else the event's route id, else the only chain there is,
 * else the route that host and path match, by the rules of the HTTP front end. What comes without them goes to the
 * fallback. A route id that is the proxy's own and not ours is no mistake; a metadata name is.
 * @throws WeirError NOT_FOUND; INVALID_ARGUMENT for a path that leads around the agents of a route
 */
export function chooseChain(source: ChainSource, event: OpeningEvent, link: ProxyLink): Chain {
  const asked = link.metadata?.[CHAIN_METADATA]
  if (asked !== undefined) {
    const chain = source.named(asked)
    if (chain !== undefined) return chain
    throw notFound(
      `the stream's ${CHAIN_METADATA} metadata names the route "${asked}", which is not configured`,
    )
  }
  const routeId = event.kind === 'request-headers' ? event.metadata.routeId : event.routeId
  const named = routeId === undefined ? undefined : source.named(routeId)
  if (named !== undefined) return named
  if (source.all.length === 1) return source.all[0]!
  const chain = event.kind === 'request-headers' ? matching(source, event) : source.fallback
  if (chain !== undefined) return chain
  const facts = `route id "${routeId ?? ''}"${event.kind === 'request-headers' ? ', its host or its path' : ''}`
  throw notFound(`no route matches this request by ${facts}`)
}

function matching(source: ChainSource, event: RequestHeadersEvent): Chain | undefined {
  const { headers, metadata, uri } = event
  const target = parseTarget(uri)
  if (typeof target === 'string') throw refused(target)
  const authority =
    target.authority ?? headerOf(headers, ':authority') ?? headerOf(headers, 'host') ?? metadata.serverName
  const host = hostWithoutPort(authority ?? '')
  const chain = source.forRequest(host, target.path)
  if (target.resolvedPath !== target.path && source.forRequest(host, target.resolvedPath) !== chain)
    throw refused('the path means different routes before and after decoding')
  return chain
}

function refused(problem: string): WeirError {
  return new WeirError('INVALID_ARGUMENT', `the request is refused: ${problem}`, { sent: false })
}

function notFound(message: string): WeirError {
  return new WeirError('NOT_FOUND', message, { sent: false })
}
