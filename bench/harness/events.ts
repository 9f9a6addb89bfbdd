import type { HeaderList, RequestHeadersEvent, RequestMetadata } from '../../src/core/event.ts'

/** The ten headers that the reference pool's own load uses, so that both sides carry the same bytes. */
const HEADERS: HeaderList = [
  'host',
  'shop.example.com',
  'user-agent',
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'accept',
  'text/html,application/xhtml+xml,application/xml;q=0.9',
  'accept-language',
  'en-US,en;q=0.5',
  'accept-encoding',
  'gzip, deflate, br',
  'cookie',
  'session=0123456789abcdef0123456789abcdef; theme=dark',
  'authorization',
  'Bearer 0123456789abcdef0123456789abcdef',
  'content-type',
  'application/json',
  'x-forwarded-for',
  '203.0.113.7',
  'x-request-id',
  '7f1e6c1a-7b1e-4f0e-9d2e-000000000000',
]

/** A fresh event per call, as a front end makes it: nothing but the constant strings is shared. */
export function requestHeaders(correlationId: string): RequestHeadersEvent {
  const metadata: RequestMetadata = {
    requestId: correlationId,
    clientIp: '203.0.113.7',
    clientPort: 54321,
    serverName: 'shop.example.com',
    protocol: 'HTTP/1.1',
    tlsVersion: undefined,
    tlsCipher: undefined,
    routeId: 'api',
    upstreamId: 'shop',
    timestampMs: Date.now(),
    traceparent: undefined,
  }
  return {
    kind: 'request-headers',
    correlationId,
    metadata,
    method: 'GET',
    uri: '/api/orders?id=42',
    headers: HEADERS.slice(),
  }
}
