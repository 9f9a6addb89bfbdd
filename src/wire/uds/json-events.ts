import type { BodyChunkEvent, RequestHeadersEvent, ResponseHeadersEvent } from '../../core/event.ts'
import { writeBase64 } from '../base64.ts'
import type { ByteWriter } from '../byte-writer.ts'
import { putRun, runOf } from '../runs.ts'
import { unsigned } from '../shape/fields.ts'
import { inRuns, joinedTexts } from '../shape/header-runs.ts'
import { timestampText } from '../shape/timestamp.ts'
import { BYTES_PER_FIELD, putHeaders } from './json-headers.ts'
import { begin, beginStaged, endStaged, keyOf, putDecimal, putMember, putStagedMember } from './json-write.ts'

/*
 * The frequent events, written straight into the connection's buffer. Keys stand in alphabetical order, as the
 * reference proxy writes them, so that one fast reader serves both.
 */

const ID = keyOf('{"correlation_id":')
const HEADERS = runOf(',"headers":{')
const CLIENT_IP = keyOf('},"metadata":{"client_ip":')
const CLIENT_PORT = runOf(',"client_port":')
const META_ID = keyOf(',"correlation_id":')
const PROTOCOL = keyOf(',"protocol":')
const REQUEST_ID = keyOf(',"request_id":')
const ROUTE_ID = keyOf(',"route_id":')
const SERVER_NAME = keyOf(',"server_name":')
const TIMESTAMP = keyOf(',"timestamp":')
const TLS_CIPHER = keyOf(',"tls_cipher":')
const TLS_VERSION = keyOf(',"tls_version":')
const TRACEPARENT = keyOf(',"traceparent":')
const UPSTREAM_ID = keyOf(',"upstream_id":')
const METHOD = keyOf('},"method":')
const URI = keyOf(',"uri":')
const STATUS = runOf('},"status":')
const BYTES_RECEIVED = runOf('{"bytes_received":')
const BYTES_SENT = runOf('{"bytes_sent":')
const CHUNK_INDEX = runOf(',"chunk_index":')
const DATA = runOf(',"data":"')
const LAST = runOf('","is_last":true,"total_size":')
const NOT_LAST = runOf('","is_last":false,"total_size":')
const NULL = runOf('null')

const CLOSE_BRACE = 0x7d
/** More than the keys, numbers and punctuation of any of these events take. */
const FIXED_BYTES = 512

export function writeRequestHeadersJson(event: RequestHeadersEvent, out: ByteWriter): void {
  const { correlationId, metadata, method, uri } = event
  const headers = inRuns(event.headers)
  const timestamp = timestampText(metadata.timestampMs)
  const texts =
    correlationId +
    joinedTexts(headers) +
    metadata.clientIp +
    correlationId +
    metadata.protocol +
    metadata.requestId +
    (metadata.routeId ?? '') +
    (metadata.serverName ?? '') +
    timestamp +
    (metadata.tlsCipher ?? '') +
    (metadata.tlsVersion ?? '') +
    (metadata.traceparent ?? '') +
    (metadata.upstreamId ?? '') +
    method +
    uri
  let at = beginStaged(out, FIXED_BYTES + headers.length * BYTES_PER_FIELD, texts)
  at = putStagedMember(out, at, ID, correlationId)
  at = putRun(out.view, at, HEADERS)
  at = putHeaders(out, at, headers)
  at = putStagedMember(out, at, CLIENT_IP, metadata.clientIp)
  at = putRun(out.view, at, CLIENT_PORT)
  at = putDecimal(out.bytes, at, unsigned(metadata.clientPort))
  at = putStagedMember(out, at, META_ID, correlationId)
  at = putStagedMember(out, at, PROTOCOL, metadata.protocol)
  at = putStagedMember(out, at, REQUEST_ID, metadata.requestId)
  at = putStagedMember(out, at, ROUTE_ID, metadata.routeId)
  at = putStagedMember(out, at, SERVER_NAME, metadata.serverName)
  at = putStagedMember(out, at, TIMESTAMP, timestamp)
  at = putStagedMember(out, at, TLS_CIPHER, metadata.tlsCipher)
  at = putStagedMember(out, at, TLS_VERSION, metadata.tlsVersion)
  if (metadata.traceparent !== undefined) at = putStagedMember(out, at, TRACEPARENT, metadata.traceparent)
  at = putStagedMember(out, at, UPSTREAM_ID, metadata.upstreamId)
  at = putStagedMember(out, at, METHOD, method)
  at = putStagedMember(out, at, URI, uri)
  out.bytes[at] = CLOSE_BRACE
  endStaged(out, at + 1)
}

export function writeResponseHeadersJson(event: ResponseHeadersEvent, out: ByteWriter): void {
  const headers = inRuns(event.headers)
  const texts = event.correlationId + joinedTexts(headers)
  let at = beginStaged(out, FIXED_BYTES + headers.length * BYTES_PER_FIELD, texts)
  at = putStagedMember(out, at, ID, event.correlationId)
  at = putRun(out.view, at, HEADERS)
  at = putHeaders(out, at, headers)
  at = putRun(out.view, at, STATUS)
  at = putDecimal(out.bytes, at, unsigned(event.status))
  out.bytes[at] = CLOSE_BRACE
  endStaged(out, at + 1)
}

/** Base64 goes from the body's bytes into the buffer without a string of it in between being kept. */
export function writeBodyChunkJson(event: BodyChunkEvent, out: ByteWriter): void {
  let at = begin(out, FIXED_BYTES, event.correlationId.length)
  at = putRun(out.view, at, event.kind === 'request-body-chunk' ? BYTES_RECEIVED : BYTES_SENT)
  at = putDecimal(out.bytes, at, unsigned(event.bytesTransferred))
  at = putRun(out.view, at, CHUNK_INDEX)
  at = putDecimal(out.bytes, at, unsigned(event.chunkIndex))
  at = putMember(out, at, META_ID, event.correlationId)
  out.end = putRun(out.view, at, DATA)
  writeBase64(event.data, out)
  at = begin(out, FIXED_BYTES, 0)
  at = putRun(out.view, at, event.isLast ? LAST : NOT_LAST)
  if (event.totalSize === undefined) at = putRun(out.view, at, NULL)
  else at = putDecimal(out.bytes, at, unsigned(event.totalSize))
  out.bytes[at] = CLOSE_BRACE
  out.end = at + 1
}
