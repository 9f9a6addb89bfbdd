import type {
  BodyChunkEvent,
  HeaderList,
  RequestHeadersEvent,
  ResponseHeadersEvent,
} from '../../core/event.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { unsigned32 } from '../shape/capabilities.ts'
import { unsigned } from '../shape/fields.ts'
import {
  closeMessage,
  putCount,
  putHeader,
  putOptionalText,
  putText,
  putVarint,
  TEXT_OVERHEAD,
  varintBytes,
} from './proto-put.ts'

/*
 * The frequent events as `ProxyToAgent` messages, without the prefix, written straight into the connection's
 * buffer. Tags are `field number << 3 | wire type`, as in `proto/agent_v2.proto`.
 */

/** Tag of `tls_cipher`, field 1000, in its two bytes. */
const TLS_CIPHER_TAG = [0xc2, 0x3e] as const
/** Room for everything in an event but its texts and data. */
const FIXED_BYTES = 128

export function writeRequestHeadersProto(event: RequestHeadersEvent, out: ByteWriter): void {
  const { metadata, headers } = event
  out.reserve(FIXED_BYTES + roomOfTexts(event) + roomOfList(headers))
  const { bytes } = out
  let at = out.end
  bytes[at] = 0x12
  const start = at + 1
  bytes[start + 2] = 0x0a
  const metadataStart = start + 3
  at = metadataStart + 2
  at = putText(bytes, at, 0x0a, event.correlationId)
  at = putText(bytes, at, 0x12, metadata.requestId)
  at = putText(bytes, at, 0x1a, metadata.clientIp)
  at = putCount(bytes, at, 0x20, unsigned32(metadata.clientPort))
  if (metadata.serverName !== undefined) at = putOptionalText(bytes, at, 0x2a, metadata.serverName)
  at = putText(bytes, at, 0x32, metadata.protocol)
  if (metadata.tlsVersion !== undefined) at = putOptionalText(bytes, at, 0x3a, metadata.tlsVersion)
  if (metadata.routeId !== undefined) at = putOptionalText(bytes, at, 0x42, metadata.routeId)
  if (metadata.upstreamId !== undefined) at = putOptionalText(bytes, at, 0x4a, metadata.upstreamId)
  at = putCount(bytes, at, 0x50, unsigned(metadata.timestampMs))
  if (metadata.traceparent !== undefined) at = putOptionalText(bytes, at, 0x5a, metadata.traceparent)
  if (metadata.tlsCipher !== undefined) {
    bytes[at++] = TLS_CIPHER_TAG[0]
    at = putOptionalText(bytes, at, TLS_CIPHER_TAG[1], metadata.tlsCipher)
  }
  at = closeMessage(bytes, metadataStart, 2, at)
  at = putText(bytes, at, 0x12, event.method)
  at = putText(bytes, at, 0x1a, event.uri)
  at = putText(bytes, at, 0x22, metadata.protocol)
  for (let i = 0; i + 1 < headers.length; i += 2)
    at = putHeader(bytes, at, 0x2a, headers[i]!, headers[i + 1]!)
  out.end = closeMessage(bytes, start, 2, at)
}

export function writeResponseHeadersProto(event: ResponseHeadersEvent, out: ByteWriter): void {
  const { headers } = event
  out.reserve(FIXED_BYTES + room(event.correlationId.length) + roomOfList(headers))
  const { bytes } = out
  bytes[out.end] = 0x22
  const start = out.end + 1
  let at = putText(bytes, start + 2, 0x0a, event.correlationId)
  at = putCount(bytes, at, 0x10, unsigned32(event.status))
  for (let i = 0; i + 1 < headers.length; i += 2)
    at = putHeader(bytes, at, 0x1a, headers[i]!, headers[i + 1]!)
  out.end = closeMessage(bytes, start, 2, at)
}

/** `nowMs`: the instant of sending. */
export function writeBodyChunkProto(event: BodyChunkEvent, nowMs: number, out: ByteWriter): void {
  const { data } = event
  out.reserve(FIXED_BYTES + room(event.correlationId.length))
  let { bytes } = out
  bytes[out.end] = event.kind === 'request-body-chunk' ? 0x1a : 0x2a
  const start = out.end + 1
  /* Rarely one too many or too few; then the data is moved by a byte. */
  const guess = varintBytes(data.length + event.correlationId.length + 24)
  let at = putText(bytes, start + guess, 0x0a, event.correlationId)
  at = putCount(bytes, at, 0x10, unsigned32(event.chunkIndex))
  if (data.length > 0) {
    bytes[at] = 0x1a
    out.end = putVarint(bytes, at + 1, data.length)
    out.append(data, FIXED_BYTES)
    bytes = out.bytes
    at = out.end
  }
  at = putCount(bytes, at, 0x20, event.isLast ? 1 : 0)
  if (event.totalSize !== undefined) {
    bytes[at] = 0x28
    at = putVarint(bytes, at + 1, unsigned(event.totalSize))
  }
  at = putCount(bytes, at, 0x30, unsigned(event.bytesTransferred))
  at = putCount(bytes, at, 0x40, unsigned(nowMs))
  out.end = at
  const length = at - start - guess + out.attachedSince(start)
  const needed = varintBytes(length)
  if (needed !== guess) out.shift(start + guess, needed - guess)
  putVarint(out.bytes, start, length)
}

function room(characters: number): number {
  return characters * 3 + TEXT_OVERHEAD
}

function roomOfTexts({ correlationId, metadata, method, uri }: RequestHeadersEvent): number {
  const characters =
    correlationId.length +
    method.length +
    uri.length +
    metadata.requestId.length +
    metadata.clientIp.length +
    metadata.protocol.length * 2 +
    (metadata.serverName?.length ?? 0) +
    (metadata.tlsVersion?.length ?? 0) +
    (metadata.tlsCipher?.length ?? 0) +
    (metadata.routeId?.length ?? 0) +
    (metadata.upstreamId?.length ?? 0) +
    (metadata.traceparent?.length ?? 0)
  return characters * 3 + TEXT_OVERHEAD * 14
}

/** With the tag and length of each pair's message. */
function roomOfList(texts: HeaderList): number {
  let characters = 0
  for (let i = 0; i < texts.length; i++) characters += texts[i]!.length
  return characters * 3 + texts.length * TEXT_OVERHEAD * 2
}
