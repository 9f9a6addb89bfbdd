import type {
  BodyChunkEvent,
  RequestCompleteEvent,
  RequestHeadersEvent,
  RequestMetadata,
  ResponseHeadersEvent,
} from '../../src/core/event.ts'

/* One plausible event of each kind; tests override what they are about. */

export const SAMPLE_METADATA: RequestMetadata = {
  requestId: 'r-1',
  clientIp: '203.0.113.7',
  clientPort: 54321,
  serverName: 'shop.example.com',
  protocol: 'HTTP/1.1',
  timestampMs: 1_700_000_000_000,
}

export function requestHeaders(
  correlationId: string,
  over: Partial<RequestHeadersEvent> = {},
): RequestHeadersEvent {
  return {
    kind: 'request-headers',
    correlationId,
    metadata: SAMPLE_METADATA,
    method: 'GET',
    uri: '/orders?id=42',
    headers: ['host', 'shop.example.com', 'accept', '*/*'],
    ...over,
  }
}

export function bodyChunk(
  correlationId: string,
  text: string,
  over: Partial<BodyChunkEvent> = {},
): BodyChunkEvent {
  const data = Buffer.from(text)
  return {
    kind: 'request-body-chunk',
    correlationId,
    data,
    chunkIndex: 0,
    isLast: true,
    bytesTransferred: data.length,
    ...over,
  }
}

export function responseHeaders(
  correlationId: string,
  over: Partial<ResponseHeadersEvent> = {},
): ResponseHeadersEvent {
  return {
    kind: 'response-headers',
    correlationId,
    status: 200,
    headers: ['content-type', 'text/plain'],
    ...over,
  }
}

export function requestComplete(correlationId: string, status = 200): RequestCompleteEvent {
  return {
    kind: 'request-complete',
    correlationId,
    status,
    durationMs: 5,
    requestBodySize: 0,
    responseBodySize: 0,
    upstreamAttempts: 1,
  }
}
