import type { RequestHeadersEvent } from '../../core/event.ts'
import type { Exchange } from './exchange.ts'
import { findField } from './header-list.ts'

/** What agents are told first: the request as it would be forwarded now. */
export function requestHeadersEvent(
  exchange: Exchange,
  uri: string,
  clientPort: number,
  timestampMs: number,
): RequestHeadersEvent {
  const { fields, request, route } = exchange
  const { correlationId } = exchange.scope
  return {
    kind: 'request-headers',
    correlationId,
    metadata: {
      requestId: exchange.requestId,
      clientIp: exchange.clientIp,
      clientPort,
      serverName: findField(fields, 'host'),
      protocol: request.httpVersionMinor === 0 ? 'HTTP/1.0' : 'HTTP/1.1',
      tlsVersion: undefined,
      tlsCipher: undefined,
      routeId: route.name,
      upstreamId: route.target.origin,
      timestampMs,
      traceparent: findField(fields, 'traceparent'),
    },
    method: request.method!,
    uri,
    headers: fields,
  }
}
