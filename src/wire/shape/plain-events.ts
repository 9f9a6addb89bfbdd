import type { AgentEvent, RequestHeadersEvent } from '../../core/event.ts'
import { base64Of } from './body.ts'
import { optionalUnsigned, unsigned } from './fields.ts'
import { headersToMap } from './headers.ts'
import { timestampText } from './timestamp.ts'

/** An event as the plain object that JSON and MessagePack frames hold. Optional members are null. */
export function plainEvent(event: AgentEvent): Record<string, unknown> {
  switch (event.kind) {
    case 'request-headers':
      return plainRequestHeaders(event)
    case 'request-body-chunk':
    case 'response-body-chunk':
      return {
        correlation_id: event.correlationId,
        data: base64Of(event.data),
        is_last: event.isLast,
        total_size: optionalUnsigned(event.totalSize),
        chunk_index: unsigned(event.chunkIndex),
        [event.kind === 'request-body-chunk' ? 'bytes_received' : 'bytes_sent']: unsigned(
          event.bytesTransferred,
        ),
      }
    case 'response-headers':
      return {
        correlation_id: event.correlationId,
        status: unsigned(event.status),
        headers: headersToMap(event.headers),
      }
    case 'request-complete':
      return {
        correlation_id: event.correlationId,
        status: unsigned(event.status),
        duration_ms: unsigned(event.durationMs),
        request_body_size: unsigned(event.requestBodySize),
        response_body_size: unsigned(event.responseBodySize),
        upstream_attempts: unsigned(event.upstreamAttempts),
        error: event.error ?? null,
        /* Keys of Weir's own, which other peers skip. */
        ...(event.upstream === undefined ? {} : { upstream: event.upstream }),
        ...(event.fromCache === undefined ? {} : { from_cache: event.fromCache }),
      }
    case 'websocket-frame':
      return {
        correlation_id: event.correlationId,
        opcode: event.opcode,
        data: base64Of(event.data),
        client_to_server: event.clientToServer,
        frame_index: unsigned(event.frameIndex),
        fin: event.fin,
        route_id: event.routeId ?? null,
        client_ip: event.clientIp,
      }
    case 'guardrail-inspect':
      return {
        correlation_id: event.correlationId,
        inspection_type: event.inspectionType,
        content: event.content,
        ...(event.model === undefined ? {} : { model: event.model }),
        categories: event.categories,
        ...(event.routeId === undefined ? {} : { route_id: event.routeId }),
        metadata: event.metadata,
        ...(event.contentType === undefined ? {} : { content_type: event.contentType }),
      }
    case 'configure':
      return {
        correlation_id: event.correlationId,
        config: event.config ?? null,
        config_version: event.configVersion ?? null,
      }
  }
}

function plainRequestHeaders(event: RequestHeadersEvent): Record<string, unknown> {
  const { metadata } = event
  return {
    correlation_id: event.correlationId,
    metadata: {
      correlation_id: event.correlationId,
      request_id: metadata.requestId,
      client_ip: metadata.clientIp,
      client_port: unsigned(metadata.clientPort),
      server_name: metadata.serverName ?? null,
      protocol: metadata.protocol,
      tls_version: metadata.tlsVersion ?? null,
      tls_cipher: metadata.tlsCipher ?? null,
      route_id: metadata.routeId ?? null,
      upstream_id: metadata.upstreamId ?? null,
      timestamp: timestampText(metadata.timestampMs),
      ...(metadata.traceparent === undefined ? {} : { traceparent: metadata.traceparent }),
    },
    method: event.method,
    uri: event.uri,
    headers: headersToMap(event.headers),
  }
}
