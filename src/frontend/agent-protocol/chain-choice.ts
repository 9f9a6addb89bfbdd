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

/** The chains a proxy can ask for. Read for each request, so that a reload takes effect at once. */
export interface ChainSource {
  readonly all: readonly Chain[]
  /** By route name. */
  named(name: string): Chain | undefined
  /** The chain that serves a host; lower case, without port. */
  forHost(host: string): Chain | undefined
  /** For requests that nothing else places. */
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
 * The chain for a request: what the stream's metadata names, else the event's route id, else its host, else the only
 * chain there is, else the fallback. A route id that is the proxy's own and not ours is no mistake; a metadata name is.
 * @throws WeirError NOT_FOUND
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
  const host = event.kind === 'request-headers' ? hostOf(event) : undefined
  const chain =
    (routeId === undefined ? undefined : source.named(routeId)) ??
    (host === undefined ? undefined : source.forHost(host)) ??
    (source.all.length === 1 ? source.all[0] : source.fallback)
  if (chain !== undefined) return chain
  const facts = `route id "${routeId ?? ''}", host "${host ?? ''}"`
  throw notFound(`no route matches this request (${facts}) and there is no default route`)
}

function hostOf({ headers, metadata }: RequestHeadersEvent): string | undefined {
  const authority = headerOf(headers, ':authority') ?? headerOf(headers, 'host') ?? metadata.serverName
  return authority?.replace(/:\d+$/, '').toLowerCase()
}

function notFound(message: string): WeirError {
  return new WeirError('NOT_FOUND', message, { sent: false })
}
